/// The members an object in a job file may have.
public struct ObjectSchema: Sendable {
    /// One member.
    public struct Field: Sendable {
        /// The key.
        public let name: String
        /// What its value may be.
        public let value: ValueSchema
        /// Whether it must be there.
        public let isRequired: Bool
        /// A member in whose presence it need not; nil if it always must.
        public let alternative: String?
        /// What stands in when it is missing.
        public let defaultValue: JSONValue?
        /// One line for `qat-client explain`.
        public let documentation: String
        /// Values as other tools have them, in canonical JSON, and what to write instead.
        let pasted: [String: String]

        init(
            _ name: String,
            _ value: ValueSchema,
            required: Bool = false,
            unless alternative: String? = nil,
            default defaultValue: JSONValue? = nil,
            pasted: [String: String] = [:],
            _ documentation: String
        ) {
            self.name = name
            self.value = value
            self.isRequired = required
            self.alternative = alternative
            self.defaultValue = defaultValue
            self.documentation = documentation
            self.pasted = pasted
        }
    }

    /// The members, in the order in which they are explained.
    public let fields: [Field]

    init(_ fields: [Field]) {
        self.fields = fields
    }

    /// The member of that name.
    public func field(_ name: String) -> Field? {
        fields.first { $0.name == name }
    }

    /// The path of a field of that name in this object or in those within it, arrays left out.
    func path(ofField name: String, from path: String = "$") -> String? {
        if field(name) != nil { return JSONPath.appending(name, to: path) }
        for field in fields {
            let inner = JSONPath.appending(field.name, to: path)
            switch field.value {
            case .object(let schema), .objectOrWord(let schema, _):
                if let found = schema.path(ofField: name, from: inner) { return found }
            default: break
            }
        }
        return nil
    }

    /// Whether there is a field at a path of plain words, such as `$.optim.lr`; those of a list's
    /// objects are at the list's path, as in `$.models.label`.
    func hasField(at path: String) -> Bool { value(at: path) != nil }

    /// Whether a list is at a path of plain words.
    func isList(at path: String) -> Bool {
        if case .array? = value(at: path) { true } else { false }
    }

    private func value(at path: String) -> ValueSchema? {
        let words = path.split(separator: ".").dropFirst()
        guard let word = words.first, let field = field(String(word)) else {
            return nil
        }
        guard words.count > 1 else {
            return field.value
        }
        let rest = "$." + words.dropFirst().joined(separator: ".")
        return Self.objects(of: field.value).lazy.compactMap { $0.value(at: rest) }.first
    }

    /// The objects that a value may be, or that a list of them may hold.
    private static func objects(of value: ValueSchema) -> [ObjectSchema] {
        switch value {
        case .object(let schema), .objectOrWord(let schema, _): [schema]
        case .variant(let variants): variants.map(\.schema)
        case .array(let element, _): objects(of: element)
        default: []
        }
    }

    /// An object of this schema without its fractions of `1.0`: all of something is what an extent is
    /// that is not there, and canonical JSON could not tell `1.0` from `1`.
    ///
    /// `fractions`: Numbers written with a point, by path.
    func normalized(_ value: JSONValue, fractions: [String: String], path: String = "$")
        -> JSONValue
    {
        guard case .object(var members) = value else {
            return value
        }
        for field in fields {
            guard let member = members[field.name] else { continue }
            let memberPath = JSONPath.appending(field.name, to: path)
            switch field.value {
            case .object(let schema), .objectOrWord(let schema, _):
                members[field.name] = schema.normalized(
                    member,
                    fractions: fractions,
                    path: memberPath
                )
            case .extent where member == .number(1) && fractions[memberPath] != nil:
                members[field.name] = nil
            default: break
            }
        }
        return .object(members)
    }
}
