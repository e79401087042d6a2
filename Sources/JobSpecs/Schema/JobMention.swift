/// A place in a file where another job is named whose output is meant: `job:NAME` or `job:NAME/OUTPUT`.
///
/// Read before anything else is checked: NAME may be what a client looks up first.
public struct JobMention: Sendable, Equatable {
    /// The RFC 6901 pointer of the place, such as `/models/0/model`.
    public let pointer: String
    /// The same as messages have it: `$.models[0].model`.
    public let path: String
    /// What stands for the job, up to the first slash.
    public let word: String
    /// What follows, slash included; empty for the main output.
    public let rest: String

    /// The text that names the same output of a job by its id.
    public func text(id: String) -> String { "job:" + id + rest }

    private init?(_ text: String, _ pointer: String, _ path: String) {
        let prefix = "job:"
        guard text.hasPrefix(prefix) else { return nil }
        let name = text.dropFirst(prefix.count)
        let end = name.firstIndex(of: "/") ?? name.endIndex
        self.pointer = pointer
        self.path = path
        word = String(name[..<end])
        rest = String(name[end...])
    }

    /// Those of a file of a kind, `pipeline` among them, wherever an input is meant.
    public static func all(in document: JSONValue, fileKind: String) -> [JobMention] {
        guard let schema = try? JobSchema.schema(fileKind: fileKind) else { return [] }
        return members(of: document, schema, "", "$")
    }

    private static func members(
        of value: JSONValue,
        _ schema: ObjectSchema,
        _ pointer: String,
        _ path: String
    ) -> [JobMention] {
        schema.fields.flatMap { field -> [JobMention] in
            guard let member = value[field.name] else { return [] }
            return mentions(
                in: member,
                field.value,
                pointer + "/" + field.name,
                JSONPath.appending(field.name, to: path)
            )
        }
    }

    private static func mentions(
        in value: JSONValue,
        _ schema: ValueSchema,
        _ pointer: String,
        _ path: String
    ) -> [JobMention] {
        switch schema {
        case .input:
            return value.stringValue.flatMap { JobMention($0, pointer, path) }.map { [$0] } ?? []
        case .object(let object), .objectOrWord(let object, _):
            return members(of: value, object, pointer, path)
        case .variant(let variants):
            let type = value["type"]?.stringValue
            guard let variant = variants.first(where: { $0.name == type }) else { return [] }
            return members(of: value, variant.schema, pointer, path)
        case .array(let element, _):
            return (value.arrayValue ?? []).enumerated().flatMap { index, member in
                mentions(in: member, element, "\(pointer)/\(index)", "\(path)[\(index)]")
            }
        case .jobs:
            return (value.objectValue ?? [:]).sorted { $0.key < $1.key }.flatMap { name, job in
                let kind = job["kind"]?.stringValue ?? JobSchema.kind(of: job) ?? ""
                // One that holds pipelines is refused later.
                guard JobSchema.kinds.contains(kind), !name.contains("/"),
                    let schema = try? JobSchema.schema(fileKind: kind)
                else { return [JobMention]() }
                let place = JSONPath.appending(name, to: path)
                return members(of: job, schema, "\(pointer)/\(name)", place)
            }
        default: return []
        }
    }
}
