internal import HTTPTypes
internal import JobSpecs
internal import Jobs
internal import NIOCore

/// The fields of a request's JSON object, each read as what it must be or refused by its name.
///
/// `null` is as good as nothing: clients send it for what their callers left open.
struct RequestFields: Sendable {
    private let values: [String: JSONValue]
    /// The object as it was written.
    let source: JSONSource

    /// Reads a body.
    ///
    /// - Throws: ``HTTPFailure`` if it is no JSON object.
    init(_ body: ByteBuffer, byteLimit: Int) throws {
        let bytes = Array(body.readableBytesView)
        guard !bytes.isEmpty else {
            throw HTTPFailure(.badRequest, "the request has no body; a JSON object is needed")
        }
        let value: JSONValue
        do {
            value = try JSONParser.value(of: bytes, name: "the body", byteLimit: byteLimit)
        } catch {
            let reason = PlainText.quoted("\(error)", byteLimit: 500)
            throw HTTPFailure(.badRequest, "the body is no JSON: \(reason)", code: "invalid_json")
        }
        guard let object = value.objectValue else {
            throw HTTPFailure(
                .badRequest,
                "the body is \(value.kindDescription); a JSON object is needed"
            )
        }
        values = object.filter { $0.value != .null }
        source = JSONSource(bytes: bytes[...])
    }

    /// Refuses what nobody reads.
    func requireKnown(_ known: Set<String>) throws {
        guard let odd = values.keys.sorted().first(where: { !known.contains($0) }) else { return }
        // Of a long one none is near, and finding that out takes its length times theirs.
        let hint =
            odd.utf8.count > 64 ? nil : NearestKey.suggestion(for: odd, among: known.sorted())
        throw HTTPFailure.field(
            PlainText.quoted(odd),
            "unknown field \(PlainText.quoted(odd)); "
                + (hint.map { "did you mean \($0)?" }
                    ?? "known are \(known.sorted().joined(separator: ", "))"),
            code: "unknown_parameter"
        )
    }

    /// Refuses a field by its name, with what to do.
    func refuse(
        _ key: String,
        _ message: String,
        unless isHarmless: (JSONValue) -> Bool = { _ in false }
    )
        throws
    {
        guard let value = values[key], !isHarmless(value) else { return }
        throw HTTPFailure.field(key, "\(key): \(message)", code: "unsupported_parameter")
    }

    /// A field, whatever it is.
    subscript(key: String) -> JSONValue? { values[key] }

    /// A text.
    func string(_ key: String) throws -> String? {
        try values[key].map { value in
            guard let text = value.stringValue else { throw wrong(key, value, "a string") }
            return text
        }
    }

    /// `true` or `false`.
    func boolean(_ key: String) throws -> Bool? {
        try values[key].map { value in
            guard let flag = value.booleanValue else { throw wrong(key, value, "true or false") }
            return flag
        }
    }

    /// A number within a range.
    func number(_ key: String, _ range: ClosedRange<Double>) throws -> Double? {
        try values[key].map { value in
            guard let number = value.doubleValue, range.contains(number) else {
                throw wrong(
                    key,
                    value,
                    "a number from \(Self.text(range.lowerBound)) to \(Self.text(range.upperBound))"
                )
            }
            return number
        }
    }

    /// A whole number within a range.
    func integer(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
        try values[key].map { value in
            guard let number = value.integerValue, range.contains(number) else {
                let bounds =
                    range.upperBound >= Int(Int32.max)
                    ? "of at least \(range.lowerBound)"
                    : "from \(range.lowerBound) to \(range.upperBound)"
                throw wrong(key, value, "a whole number \(bounds)")
            }
            return number
        }
    }

    /// The error of a field that is something else than it must be.
    func wrong(_ key: String, _ value: JSONValue, _ need: String) -> HTTPFailure {
        let shown =
            value.doubleValue == nil && value.booleanValue == nil
            ? value.kindDescription : value.canonicalText
        return .field(key, "\(key) is \(shown); \(need) is needed", code: "invalid_value")
    }

    private static func text(_ number: Double) -> String { JSONValue.number(number).canonicalText }
}
