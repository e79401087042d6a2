/// Reads the tokens of JSON text one after another, never past its end.
///
/// It keeps no stack: what follows what is up to the caller.
struct JSONScanner {
    private let path: String
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int

    /// A number as it stands in the text.
    enum Number {
        case integer(Int)
        /// With a point or an exponent, or too large for an integer; finite.
        case real(Double)
    }

    /// The bytes of U+FEFF, which may stand before the text and mean nothing (RFC 8259, section 8.1).
    static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// A scanner that begins behind a byte order mark.
    ///
    /// `path`: What messages call the text.
    init(_ bytes: UnsafeRawBufferPointer, path: String) {
        self.bytes = bytes
        self.path = path
        offset = bytes.starts(with: Self.byteOrderMark) ? Self.byteOrderMark.count : 0
    }

    func failure(_ what: String) -> ModelFileError {
        ModelFileError(.malformed, "\(path): not valid JSON: \(what) at byte \(offset)")
    }

    /// The next byte that is no white space; nil at the end.
    mutating func peek() -> UInt8? {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return bytes[offset]
            }
        }
        return nil
    }

    /// Takes a character if it comes next.
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek() == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    /// Takes a character that must come next.
    mutating func expect(_ character: Unicode.Scalar) throws(ModelFileError) {
        guard take(character) else { throw failure("no \(character)") }
    }

    /// Takes the comma before a further element, or the bracket after the last one.
    ///
    /// - Returns: Whether there is a further element.
    mutating func hasNext(before close: Unicode.Scalar) throws(ModelFileError) -> Bool {
        if take(close) { return false }
        try expect(",")
        return true
    }

    /// Takes the end of the text.
    mutating func expectEnd() throws(ModelFileError) {
        guard peek() == nil else { throw failure("more text") }
    }

    /// Takes one of the words `true`, `false`, `null`.
    mutating func word(_ text: StaticString) throws(ModelFileError) {
        let count = text.utf8CodeUnitCount
        guard count <= bytes.count - offset,
            (0..<count).allSatisfy({ bytes[offset + $0] == text.utf8Start[$0] })
        else {
            throw failure("no value")
        }
        offset += count
    }

    /// A word that Python writes for a number and JSON does not have, if it comes next.
    mutating func foreignNumber() -> String? {
        guard peek() != nil else { return nil }
        let rest = bytes[offset...]
        return ["NaN", "Infinity", "-Infinity", "nan", "inf"].first { rest.starts(with: $0.utf8) }
    }

    mutating func string() throws(ModelFileError) -> String {
        try expect("\"")
        let start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                let text = try self.text(start..<offset)
                offset += 1
                return text
            case UInt8(ascii: "\\"): return try escapedString(from: start)
            case 0..<0x20: throw failure("a control character in a string")
            default: offset += 1
            }
        }
        throw failure("a string without end")
    }

    mutating func number() throws(ModelFileError) -> Number {
        _ = peek()
        let start = offset
        skip(UInt8(ascii: "-"))
        let isZero = offset < bytes.count && bytes[offset] == UInt8(ascii: "0")
        let digits = skipDigits()
        guard digits > 0, !isZero || digits == 1 else { throw failure("no number") }
        var isInteger = true
        if skip(UInt8(ascii: ".")) {
            isInteger = false
            guard skipDigits() > 0 else { throw failure("no digit") }
        }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            isInteger = false
            if !skip(UInt8(ascii: "+")) { skip(UInt8(ascii: "-")) }
            guard skipDigits() > 0 else { throw failure("no digit") }
        }
        guard offset - start <= 1024 else { throw failure("a number of \(offset - start) bytes") }
        let text = try text(start..<offset)
        if isInteger, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else {
            throw failure("a number that is out of range")
        }
        return .real(value)
    }

    @discardableResult
    private mutating func skip(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private mutating func skipDigits() -> Int {
        let start = offset
        while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset])
        {
            offset += 1
        }
        return offset - start
    }

    private func text(_ range: Range<Int>) throws(ModelFileError) -> String {
        let part = UnsafeRawBufferPointer(rebasing: bytes[range])
        guard let text = String(validating: part, as: UTF8.self) else {
            throw failure("a string that is not UTF-8")
        }
        return text
    }

    /// The rest of a string that holds an escape, which stands at `offset`.
    private mutating func escapedString(from start: Int) throws(ModelFileError) -> String {
        var output = try text(start..<offset)
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return output
            case UInt8(ascii: "\\"):
                offset += 1
                output.unicodeScalars.append(try escape())
            case 0..<0x20: throw failure("a control character in a string")
            default:
                let plain = offset
                while offset < bytes.count, bytes[offset] >= 0x20,
                    bytes[offset] != UInt8(ascii: "\""), bytes[offset] != UInt8(ascii: "\\")
                {
                    offset += 1
                }
                output += try text(plain..<offset)
            }
        }
        throw failure("a string without end")
    }

    private mutating func escape() throws(ModelFileError) -> Unicode.Scalar {
        guard offset < bytes.count else { throw failure("a string without end") }
        let kind = bytes[offset]
        offset += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw failure("an unknown escape")
        }
        let unit = try codeUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard unit & 0xFC00 == 0xD800, skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else {
            throw failure("half a surrogate pair")
        }
        let low = try codeUnit()
        guard low & 0xFC00 == 0xDC00,
            let scalar = Unicode.Scalar(0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF)
        else {
            throw failure("half a surrogate pair")
        }
        return scalar
    }

    private mutating func codeUnit() throws(ModelFileError) -> UInt32 {
        guard bytes.count - offset >= 4 else { throw failure("half an escape") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue else {
                throw failure("no hexadecimal digit")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }
}
