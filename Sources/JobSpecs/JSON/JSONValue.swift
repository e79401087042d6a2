/// A JSON value with IEEE 754 numbers, as RFC 8785 sees it.
public indirect enum JSONValue: Sendable, Equatable {
    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A finite number.
    case number(Double)
    /// A string.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object; keys are unique.
    case object([String: JSONValue])

    /// The largest magnitude up to which every whole number is exact.
    public static let largestExactInteger = 9_007_199_254_740_992.0

    /// The member `key` of an object; nil for other values and missing keys.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else {
            return nil
        }
        return members[key]
    }

    /// The text of a string.
    public var stringValue: String? {
        guard case .string(let text) = self else {
            return nil
        }
        return text
    }

    /// The value of a number.
    public var doubleValue: Double? {
        guard case .number(let number) = self else {
            return nil
        }
        return number
    }

    /// The value of a number that is whole and exact.
    public var integerValue: Int? {
        guard let number = doubleValue, number == number.rounded(),
            abs(number) <= Self.largestExactInteger
        else {
            return nil
        }
        return Int(number)
    }

    /// The value of a boolean.
    public var booleanValue: Bool? {
        guard case .boolean(let value) = self else {
            return nil
        }
        return value
    }

    /// The elements of an array.
    public var arrayValue: [JSONValue]? {
        guard case .array(let elements) = self else {
            return nil
        }
        return elements
    }

    /// The members of an object.
    public var objectValue: [String: JSONValue]? {
        guard case .object(let members) = self else {
            return nil
        }
        return members
    }

    /// What the value is, with an article: "a string", "an integer", "null".
    public var kindDescription: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: integerValue == nil ? "a number" : "an integer"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
