public import Foundation

/// The JSON of a job's metrics, results and reports: keys in snake case, sorted.
///
/// JSON has no infinity and no NaN; such numbers are null, never a text.
public enum ResultJSON {
    /// The JSON of `value`, on one line unless `isPretty`.
    ///
    /// - Throws: What encoding the value throws.
    public static func data(_ value: some Encodable, isPretty: Bool = false) throws -> Data {
        // A text that occurs nowhere stands for null until all is encoded.
        let mark = UUID().uuidString
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: mark,
            negativeInfinity: mark,
            nan: mark
        )
        let text = String(decoding: try encoder.encode(value), as: UTF8.self)
        return Data(text.replacingOccurrences(of: "\"\(mark)\"", with: "null").utf8)
    }
}

/// A member of results that is null where it was not measured, so that its key is always there.
@propertyWrapper
public struct NullIfNone<Value: Encodable>: Encodable {
    /// The value.
    public var wrappedValue: Value?

    /// A member.
    public init(wrappedValue: Value?) {
        self.wrappedValue = wrappedValue
    }

    /// Encodes the value or null.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue {
            try container.encode(wrappedValue)
        } else {
            try container.encodeNil()
        }
    }
}

extension NullIfNone: Sendable where Value: Sendable {}
extension NullIfNone: Equatable where Value: Equatable {}
