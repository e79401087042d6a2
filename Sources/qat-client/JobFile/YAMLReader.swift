internal import JobSpecs
internal import Yams

/// Reads one YAML document as the JSON document it stands for.
///
/// A scalar without quotes is `true`, `false`, `null` or a number exactly if JSON has it so; anything else
/// is text: `on`, `yes`, `0o17` and `1_000` are strings here, whatever YAML 1.1 makes of them, and a key that
/// wants a boolean or a number refuses them by its place. What looks like a number and is read as two
/// different ones by YAML's versions, as `010` is, is refused.
struct YAMLReader {
    /// Values of a document, those of aliases counted each time.
    private static let maximumValueCount = 100_000

    private var lines: [String: Int] = [:]
    private var fractions: [String: String] = [:]
    private var count = 0

    /// Parses a whole document.
    ///
    /// - Throws: ``JobSpecError`` (`invalidJSON`) with the line of the mistake.
    static func parse(_ bytes: [UInt8]) throws(JobSpecError) -> JSONParser.Document {
        guard bytes.count <= JSONParser.maximumByteCount else {
            throw JobSpecError.malformed(
                "the file has more than \(JSONParser.maximumByteCount) bytes"
            )
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw JobSpecError.malformed("the file is not UTF-8 text")
        }
        var reader = YAMLReader()
        guard let root = try compose(text) else {
            throw JobSpecError.malformed("the file is empty")
        }
        let value = try reader.value(root, path: "$", depth: 0)
        return JSONParser.Document(
            value: value,
            lines: reader.lines,
            fractions: reader.fractions
        )
    }

    private static func compose(_ text: String) throws(JobSpecError) -> Node? {
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw translated(error, of: text)
        } catch {
            throw JobSpecError.malformed("\(error)")
        }
    }

    private static func translated(_ error: YamlError, of text: String) -> JobSpecError {
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let more = context.map { ", \($0.text)" } ?? ""
            let advice =
                problem.contains("tab") || problem.contains("cannot start any token")
                ? "; YAML is indented by spaces, and text that begins with a sign stands in quotes"
                : ""
            return .malformed("\(problem)\(more)\(advice)", line: mark.line)
        case .duplicatedKeysInMapping(let keys, let context):
            if let place = YAMLDuplicate(in: text, keys: Set(keys), known: context.mark.line) {
                return .malformed("duplicate key", path: place.path, line: place.line)
            }
            return .malformed(
                "duplicate key \(keys.map(\.debugDescription).joined(separator: ", "))",
                line: context.mark.line
            )
        case .reader(let problem, _, _, _): return .malformed(problem)
        default: return .malformed("\(error)")
        }
    }

    private func failure(_ message: String, _ node: Node, _ path: String) -> JobSpecError {
        .malformed(message, path: path, line: node.mark?.line)
    }

    private mutating func value(
        _ node: Node,
        path: String,
        depth: Int
    ) throws(JobSpecError) -> JSONValue {
        guard depth <= JSONParser.maximumDepth else {
            throw failure("nested deeper than \(JSONParser.maximumDepth) levels", node, path)
        }
        count += 1
        guard count <= Self.maximumValueCount else {
            throw failure(
                "more than \(Self.maximumValueCount) values, aliases included",
                node,
                path
            )
        }
        lines[path] = node.mark?.line
        switch node {
        case .scalar(let scalar): return try self.scalar(scalar, node, path)
        case .sequence(let sequence):
            try checkTag(sequence.tag, "tag:yaml.org,2002:seq", node, path)
            var elements: [JSONValue] = []
            for element in sequence {
                let place = "\(path)[\(elements.count)]"
                elements.append(try value(element, path: place, depth: depth + 1))
            }
            return .array(elements)
        case .mapping(let mapping):
            try checkTag(mapping.tag, "tag:yaml.org,2002:map", node, path)
            return try members(mapping, path: path, depth: depth)
        case .alias: throw failure("an alias without its anchor", node, path)
        }
    }

    private mutating func members(
        _ mapping: Node.Mapping,
        path: String,
        depth: Int
    ) throws(JobSpecError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        for (keyNode, node) in mapping {
            guard case .scalar(let scalar) = keyNode else {
                throw failure("a key that is no text", keyNode, path)
            }
            let key = scalar.string
            let place = JSONPath.appending(key, to: path)
            guard key != "<<" || scalar.style != .plain else {
                throw failure("merge keys are not read; write the members out", keyNode, path)
            }
            // Keys that differ in their quotes alone are the same key.
            guard members[key] == nil else {
                throw failure("duplicate key", keyNode, place)
            }
            members[key] = try value(node, path: place, depth: depth + 1)
        }
        return .object(members)
    }

    private mutating func scalar(
        _ scalar: Node.Scalar,
        _ node: Node,
        _ path: String
    ) throws(JobSpecError) -> JSONValue {
        let text = scalar.string
        let tag = scalar.tag.rawValue
        guard tag.isEmpty || tag == "!" || tag == "tag:yaml.org,2002:str" else {
            throw failure("the tag \(tag) is not read; write the value without it", node, path)
        }
        guard tag.isEmpty, scalar.style == .plain else {
            return .string(text)
        }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .boolean(true)
        case "false", "False", "FALSE": return .boolean(false)
        default: break
        }
        guard text.utf8.first.map({ $0 == 0x2D || (0x30...0x39).contains($0) }) ?? false else {
            return .string(text)
        }
        if let fault = NumberHabit.fault(text) { throw failure(fault, node, path) }
        if let document = try? JSONParser.parse(Array(text.utf8)), case .number = document.value {
            fractions[path] = document.fractions["$"]
            return document.value
        }
        // A leading zero makes an octal number in YAML 1.1 and none in 1.2.
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        if digits.count > 1, digits.first == "0", digits.allSatisfy({ $0.isASCII && $0.isNumber }) {
            let decimal = digits.drop { $0 == "0" }
            throw failure(
                "\(text) is one number to some readers of YAML and another to others; write "
                    + "\(decimal.isEmpty ? "0" : decimal) for a number, \"\(text)\" for text",
                node,
                path
            )
        }
        return .string(text)
    }

    private func checkTag(
        _ tag: Tag,
        _ usual: String,
        _ node: Node,
        _ path: String
    ) throws(JobSpecError) {
        guard ["", "!", usual].contains(tag.rawValue) else {
            throw failure("the tag \(tag.rawValue) is not read; leave it out", node, path)
        }
    }
}
