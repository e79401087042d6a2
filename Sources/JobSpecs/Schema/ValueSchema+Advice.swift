extension ValueSchema {
    /// What to write instead of a value that is refused, where its form shows what was meant.
    ///
    /// `isFraction`: Whether a number is written with a point.
    func advice(_ value: JSONValue, isFraction: Bool) -> String? {
        switch (self, value) {
        case (.integer, .string(let text)), (.number, .string(let text)),
            (.extent, .string(let text)):
            if (try? JSONParser.parse(Array(text.utf8))).map(allows) ?? false {
                return "write \(text) without quotes"
            }
            return NumberHabit.plain(text).flatMap { plain in
                let document = try? JSONParser.parse(Array(plain.utf8))
                return document.map(allows) ?? false ? "write \(plain)" : nil
            }
        case (.boolean, .string(let text)):
            let word = text.lowercased()
            if ["yes", "on", "y"].contains(word) { return "write true" }
            if ["no", "off", "n"].contains(word) { return "write false" }
            return ["true", "false"].contains(word) ? "write \(word) without quotes" : nil
        case (.format, .string(let text)): return KnownWord.advice(forFormat: text)
        case (.choice(let words), .string(let text)):
            return KnownWord.advice(for: text, among: words)
        case (.boolean, .number(let number)):
            return number == 0 ? "write false" : number == 1 ? "write true" : nil
        case (.extent, .number(let number)) where isFraction && number > 1:
            guard let count = value.integerValue else { return nil }
            return "a point makes it a fraction of all; for \(count) of them write \(count)"
        case (.array, _), (.object, _), (.objectOrWord, _), (.variant, _):
            return wrapped(value).map { "write \(Self.spelled($0))" }
        case (.number(let range), .number(let number)) where number > 1:
            // 4e7 for 4e-7: the sign of the exponent was lost. Powers of ten are exact up to 10^22.
            var power = 1.0
            while number / power >= 10, power < 1e11 { power *= 10 }
            let meant = number / (power * power)
            return power > 10 && range.contains(meant)
                ? "did you mean \(JSONValue.number(meant).canonicalText)?" : nil
        case (.input(let role, _), .string(let text)) where InputReference.isURL(text):
            return InputReference.advice(for: text, role: role)
        case (.input, .string(let text)): return InputReference.fault(in: text)
        default: return nil
        }
    }

    /// JSON as people write it on one line.
    private static func spelled(_ value: JSONValue) -> String {
        if let elements = value.arrayValue {
            return "[" + elements.map(spelled).joined(separator: ", ") + "]"
        }
        guard let members = value.objectValue else { return value.canonicalText }
        let pairs = members.sorted { $0.key < $1.key }.map {
            JSONValue.string($0.key).canonicalText + ": " + spelled($0.value)
        }
        return "{" + pairs.joined(separator: ", ") + "}"
    }

    /// The array or object that a value alone was meant to stand for, as `[{"format": "gguf"}]` for
    /// `"gguf"`; nil if it would not be allowed either.
    ///
    /// Of an object that is the one with its only required member, or else its `name` or `train`.
    private func wrapped(_ value: JSONValue) -> JSONValue? {
        switch self {
        case .array(let element, let count):
            guard value.arrayValue == nil, count.contains(1) else { return nil }
            return (element.allows(value) ? value : element.wrapped(value)).map { .array([$0]) }
        case .object(let schema), .objectOrWord(let schema, _):
            guard value.objectValue == nil else { return nil }
            let required = schema.fields.filter(\.isRequired)
            if let named = Self.named(value, required) { return named }
            let usual = schema.field("name") ?? schema.field("train")
            let field = required.isEmpty ? usual : required.first
            guard required.count < 2, let field else { return nil }
            let member = field.value.allows(value) ? value : field.value.wrapped(value)
            return member.map { .object([field.name: $0]) }
        case .variant(let variants):
            guard let name = value.stringValue,
                let variant = variants.first(where: { $0.name == name }),
                variant.schema.fields.filter(\.isRequired).count == 1
            else { return nil }
            return .object(["type": value])
        default: return nil
        }
    }

    /// An input alone with a label that it needs: both are the text.
    private static func named(_ value: JSONValue, _ fields: [ObjectSchema.Field]) -> JSONValue? {
        let isInput = fields.contains { field in
            if case .input = field.value { true } else { false }
        }
        guard isInput, fields.map(\.name).contains("label"), fields.count == 2,
            fields.allSatisfy({ $0.value.allows(value) })
        else { return nil }
        return .object(Dictionary(uniqueKeysWithValues: fields.map { ($0.name, value) }))
    }

    /// Whether a value is what the schema expects.
    private func allows(_ value: JSONValue) -> Bool {
        allows(JSONParser.Document(value: value, lines: [:], fractions: [:]))
    }

    private func allows(_ document: JSONParser.Document) -> Bool {
        var validator = SchemaValidator(document, root: ObjectSchema([]))
        validator.check(document.value, against: self, path: "$")
        return validator.violations.isEmpty
    }
}
