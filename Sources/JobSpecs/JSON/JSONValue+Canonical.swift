extension JSONValue {
    /// The one serialization of the value that RFC 8785 (JCS) allows.
    ///
    /// Members are sorted by the UTF-16 code units of their keys, numbers are written as
    /// ECMAScript does, strings with the fewest escapes, without white space.
    public var canonicalBytes: [UInt8] {
        var bytes: [UInt8] = []
        appendCanonical(to: &bytes)
        return bytes
    }

    /// ``canonicalBytes`` as text.
    public var canonicalText: String {
        String(decoding: canonicalBytes, as: UTF8.self)
    }

    private func appendCanonical(to bytes: inout [UInt8]) {
        switch self {
        case .null:
            bytes += "null".utf8
        case .boolean(let value):
            bytes += (value ? "true" : "false").utf8
        case .number(let value):
            bytes += Self.canonicalNumber(value).utf8
        case .string(let text):
            Self.appendString(text, to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 {
                    bytes.append(UInt8(ascii: ","))
                }
                element.appendCanonical(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            let sorted = members.sorted { $0.key.utf16.lexicographicallyPrecedes($1.key.utf16) }
            for (index, member) in sorted.enumerated() {
                if index > 0 {
                    bytes.append(UInt8(ascii: ","))
                }
                Self.appendString(member.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.value.appendCanonical(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func appendString(_ text: String, to bytes: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): bytes += #"\""#.utf8
            case UInt8(ascii: "\\"): bytes += #"\\"#.utf8
            case 0x08: bytes += #"\b"#.utf8
            case 0x09: bytes += #"\t"#.utf8
            case 0x0A: bytes += #"\n"#.utf8
            case 0x0C: bytes += #"\f"#.utf8
            case 0x0D: bytes += #"\r"#.utf8
            case 0..<0x20:
                bytes += #"\u00"#.utf8
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// ECMAScript's `Number::toString`: the shortest digits that read back as the same number.
    ///
    /// Swift's description has these digits, only laid out differently. What JSON cannot hold
    /// (infinities, NaN) becomes `null`, as in ECMAScript; the parser never yields it.
    static func canonicalNumber(_ value: Double) -> String {
        guard value.isFinite else {
            return "null"
        }
        guard value != 0 else {
            return "0"
        }
        let sign = value < 0 ? "-" : ""
        let (digits, point) = shortestDigits(value.magnitude)
        let count = digits.count
        if point > 0, point <= 21 {
            guard point < count else {
                return sign + digits + String(repeating: "0", count: point - count)
            }
            return sign + digits.prefix(point) + "." + digits.dropFirst(point)
        }
        if point > -6, point <= 0 {
            return sign + "0." + String(repeating: "0", count: -point) + digits
        }
        let exponent = point - 1
        let fraction = count > 1 ? "." + digits.dropFirst() : ""
        return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+")
            + String(exponent.magnitude)
    }

    /// The digits of a positive number and the place of its decimal point among them.
    private static func shortestDigits(_ value: Double) -> (digits: String, point: Int) {
        let parts = value.description.split(separator: "e")
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let whole = mantissa[0]
        let all = whole + (mantissa.count > 1 ? mantissa[1] : "")
        let leadingZeros = all.prefix { $0 == "0" }.count
        var digits = String(all.dropFirst(leadingZeros))
        while digits.hasSuffix("0") {
            digits.removeLast()
        }
        return (digits, whole.count + exponent - leadingZeros)
    }
}
