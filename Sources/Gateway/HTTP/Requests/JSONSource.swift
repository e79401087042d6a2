internal import JobSpecs

/// JSON as it was written: what is handed on to a model keeps its order and its numbers.
///
/// Only of bytes that the parser has accepted.
struct JSONSource: Sendable {
    let bytes: ArraySlice<UInt8>

    /// The text.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The members of an object, in their order; none of what is no object.
    var members: [(key: String, value: JSONSource)] {
        var members: [(key: String, value: JSONSource)] = []
        for part in parts(of: UInt8(ascii: "{")) {
            let colon = Self.end(ofString: part.bytes)
            guard case .string(let key)? = JSONSource(bytes: part.bytes[..<colon]).value else {
                continue
            }
            let rest = part.bytes[colon...].drop { Self.isSpace($0) || $0 == UInt8(ascii: ":") }
            members.append((key, JSONSource(bytes: rest)))
        }
        return members
    }

    /// The elements of an array; none of what is no array.
    var elements: [JSONSource] { parts(of: UInt8(ascii: "[")) }

    /// The value of a member.
    subscript(key: String) -> JSONSource? { members.first { $0.key == key }?.value }

    private var value: JSONValue? {
        try? JSONParser.value(of: Array(bytes), name: "the value", byteLimit: .max)
    }

    /// What stands between the commas of an array or an object, without space around it.
    private func parts(of opening: UInt8) -> [JSONSource] {
        let whole = Self.trimmed(bytes)
        guard whole.first == opening else { return [] }
        let inner = whole.dropFirst().dropLast()
        var parts: [JSONSource] = []
        var (depth, start, position) = (0, inner.startIndex, inner.startIndex)
        while position < inner.endIndex {
            switch inner[position] {
            case UInt8(ascii: "\""):
                position = Self.end(ofString: inner[position...])
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ",") where depth == 0:
                parts.append(JSONSource(bytes: Self.trimmed(inner[start..<position])))
                start = position + 1
            default: break
            }
            position += 1
        }
        let last = Self.trimmed(inner[start...])
        if !last.isEmpty { parts.append(JSONSource(bytes: last)) }
        return parts
    }

    /// The place after the string that begins a text.
    private static func end(ofString text: ArraySlice<UInt8>) -> Int {
        var position = text.startIndex + 1
        while position < text.endIndex, text[position] != UInt8(ascii: "\"") {
            position += text[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(position + 1, text.endIndex)
    }

    private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var text = text.drop(while: isSpace)
        while let last = text.last, isSpace(last) { text = text.dropLast() }
        return text
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }
}
