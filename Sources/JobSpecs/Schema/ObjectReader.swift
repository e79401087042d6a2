/// Reads the members of a validated object, with the defaults of its schema.
///
/// A member that is neither there nor has a default is a mistake in the schema, not in the
/// document, so asking for one is a precondition.
struct ObjectReader {
    private let members: [String: JSONValue]
    private let schema: ObjectSchema

    init(_ value: JSONValue?, _ schema: ObjectSchema) {
        self.members = value?.objectValue ?? [:]
        self.schema = schema
    }

    /// Whether the document itself has the member.
    func contains(_ key: String) -> Bool {
        members[key].map { $0 != .null } ?? false
    }

    /// Whether the document has the member as `null`.
    func isNull(_ key: String) -> Bool { members[key] == .null }

    func value(_ key: String) -> JSONValue? {
        guard contains(key) else {
            return schema.field(key)?.defaultValue
        }
        return members[key]
    }

    func optionalText(_ key: String) -> String? { value(key)?.stringValue }
    func optionalNumber(_ key: String) -> Double? { value(key)?.doubleValue }
    func optionalInteger(_ key: String) -> Int? { value(key)?.integerValue }

    /// The text of a string, or an integer as it is written.
    func word(_ key: String) -> String {
        unwrap(value(key).map { $0.stringValue ?? $0.canonicalText }, key)
    }

    func text(_ key: String) -> String { unwrap(optionalText(key), key) }
    func integer(_ key: String) -> Int { unwrap(optionalInteger(key), key) }
    func number(_ key: String) -> Double { unwrap(value(key)?.doubleValue, key) }
    func boolean(_ key: String) -> Bool { unwrap(value(key)?.booleanValue, key) }

    func extent(_ key: String) -> Extent? {
        value(key)?.doubleValue.map { $0 < 1 ? .fraction($0) : .count(Int($0)) }
    }

    func choice<Choice: RawRepresentable>(
        _ key: String,
        as type: Choice.Type = Choice.self
    ) -> Choice where Choice.RawValue == String {
        unwrap(optionalText(key).flatMap(Choice.init(rawValue:)), key)
    }

    func optionalChoice<Choice: RawRepresentable>(
        _ key: String,
        as type: Choice.Type = Choice.self
    ) -> Choice? where Choice.RawValue == String {
        contains(key) ? choice(key) : nil
    }

    func texts(_ key: String) -> [String] {
        value(key)?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    func numbers(_ key: String) -> [Double] {
        value(key)?.arrayValue?.compactMap(\.doubleValue) ?? []
    }

    /// A reader of a member that is an object; of an empty object when it is missing, or a word.
    func object(_ key: String) -> ObjectReader {
        switch schema.field(key)?.value {
        case .object(let schema), .objectOrWord(let schema, _):
            return ObjectReader(value(key), schema)
        default: preconditionFailure("\(key) is no object in the schema")
        }
    }

    /// Readers of the objects in an array.
    func objects(_ key: String) -> [ObjectReader] {
        guard case .array(let element, _) = schema.field(key)?.value else {
            preconditionFailure("\(key) is no array in the schema")
        }
        let values = value(key)?.arrayValue ?? []
        return values.map { value in
            switch element {
            case .object(let schema): return ObjectReader(value, schema)
            case .variant(let variants):
                let chosen = variants.first { $0.name == value["type"]?.stringValue }
                return ObjectReader(value, unwrap(chosen, "type").schema)
            default: preconditionFailure("\(key) is no array of objects in the schema")
            }
        }
    }

    private func unwrap<Value>(_ value: Value?, _ key: String) -> Value {
        guard let value else {
            preconditionFailure("\(key) has neither a value nor a default of its type")
        }
        return value
    }
}
