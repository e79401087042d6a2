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
        /// What stands in when it is missing.
        public let defaultValue: JSONValue?
        /// One line for `qat-client explain`.
        public let documentation: String

        init(
            _ name: String,
            _ value: ValueSchema,
            required: Bool = false,
            default defaultValue: JSONValue? = nil,
            _ documentation: String
        ) {
            self.name = name
            self.value = value
            self.isRequired = required
            self.defaultValue = defaultValue
            self.documentation = documentation
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
}
