internal import Formats

/// What a value in a job file may be.
public indirect enum ValueSchema: Sendable {
    /// `true` or `false`.
    case boolean
    /// A whole number.
    case integer(ClosedRange<Int>)
    /// A number.
    case number(NumberRange)
    /// A count from 1, or a fraction above 0 up to `1.0`, which is all.
    case extent
    /// Text of 1 to so many bytes, without control characters.
    case text(maximumByteCount: Int)
    /// One of some words.
    case choice([String])
    /// One of some words; those that are integers may be written without quotes.
    case wordOrInteger([String])
    /// The name of a number format, or `none`.
    case format
    /// A pattern over module names.
    case pattern
    /// Three shares such as `99,1,0`.
    case splits
    /// A path, `job:ID[/output]` or `sha256:DIGEST`; beside these, some words.
    case input(InputReference.Role, orWords: [String] = [])
    /// An object.
    case object(ObjectSchema)
    /// An object, or one of some words that stand for one.
    case objectOrWord(ObjectSchema, [String])
    /// An object whose member `type` picks its schema.
    case variant([Variant])
    /// Jobs by names of their own; beside the members listed, each has those of its kind.
    case jobs(ObjectSchema, count: ClosedRange<Int>)
    /// An array.
    case array(ValueSchema, count: ClosedRange<Int>)

    /// One alternative of a ``ValueSchema/variant(_:)``.
    public struct Variant: Sendable {
        /// The value of `type`.
        public let name: String
        /// The object, `type` included.
        public let schema: ObjectSchema
    }

    /// One of the raw values of an enumeration.
    static func words<Words: CaseIterable & RawRepresentable>(_ type: Words.Type) -> ValueSchema
    where Words.RawValue == String {
        .choice(type.allCases.map(\.rawValue))
    }

    /// What is expected, as the end of "expected …".
    public var expectation: String {
        switch self {
        case .boolean: "true or false"
        case .integer(let range):
            range.upperBound == .max
                ? "an integer >= \(range.lowerBound)"
                : "an integer from \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "a number \(range)"
        case .extent: "an integer >= 1 (a count; 1 is one), or a fraction > 0 up to 1.0 (all)"
        case .text(let maximum): "a string of 1 to \(maximum) bytes without control characters"
        case .choice(let words), .wordOrInteger(let words):
            words.count == 1 ? "\"\(words[0])\"" : "one of \(words.joined(separator: ", "))"
        case .format: "one of \(Self.formatWords.joined(separator: ", "))"
        case .pattern: "a glob (* and ?), or a regular expression after re:"
        case .splits: "three shares such as \"99,1,0\", none negative, not all zero"
        case .input(_, let words):
            words.map { "\"\($0)\", " }.joined() + "a path, job:ID[/output] or sha256:DIGEST"
        case .object: "an object"
        case .objectOrWord(_, let words):
            words.map { "\"\($0)\", " }.joined() + "or an object"
        case .variant(let variants):
            "an object whose type is one of \(variants.map(\.name).joined(separator: ", "))"
        case .jobs(_, let count):
            "an object of \(count.lowerBound) to \(count.upperBound) jobs by name"
        case .array(let element, let count): Self.arrayExpectation(of: element, count: count)
        }
    }

    /// Every word that ``format`` takes.
    static let formatWords = [QuantizationFormat.unquantizedName] + QuantizationFormat.names

    private static func arrayExpectation(
        of element: ValueSchema,
        count: ClosedRange<Int>
    ) -> String {
        let size =
            count.lowerBound == count.upperBound
            ? "\(count.lowerBound)" : "\(count.lowerBound) to \(count.upperBound)"
        return switch element {
        case .object, .variant: "an array of \(size) objects"
        case .number(let range): "an array of \(size) numbers \(range)"
        case .text, .choice, .wordOrInteger, .format, .pattern, .input:
            "an array of \(size) strings"
        default: "an array of \(size) elements"
        }
    }
}

/// An interval of numbers.
public struct NumberRange: Sendable, CustomStringConvertible {
    /// The lower end.
    public let lower: Double
    /// Whether the lower end itself is allowed.
    public let includesLower: Bool
    /// The upper end; nil for none.
    public let upper: Double?
    /// Whether the upper end itself is allowed.
    public let includesUpper: Bool

    static func above(_ lower: Double, through upper: Double? = nil) -> NumberRange {
        NumberRange(lower: lower, includesLower: false, upper: upper, includesUpper: true)
    }

    static func between(_ lower: Double, _ upper: Double) -> NumberRange {
        NumberRange(lower: lower, includesLower: false, upper: upper, includesUpper: false)
    }

    static func from(_ lower: Double, below upper: Double? = nil) -> NumberRange {
        NumberRange(lower: lower, includesLower: true, upper: upper, includesUpper: false)
    }

    /// Whether the number lies in the interval.
    public func contains(_ number: Double) -> Bool {
        let isAbove = includesLower ? number >= lower : number > lower
        guard let upper else {
            return isAbove
        }
        return isAbove && (includesUpper ? number <= upper : number < upper)
    }

    /// `> 0`, or `>= 0 and < 1`.
    public var description: String {
        let start = (includesLower ? ">= " : "> ") + JSONValue.number(lower).canonicalText
        guard let upper else {
            return start
        }
        return start + (includesUpper ? " and <= " : " and < ")
            + JSONValue.number(upper).canonicalText
    }
}
