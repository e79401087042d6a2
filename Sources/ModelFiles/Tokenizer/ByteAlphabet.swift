/// GPT-2's printable stand-ins for bytes: a character per byte, so that any bytes are a text.
enum ByteAlphabet {
    /// The character of each byte.
    static let characters: [Unicode.Scalar] = {
        var table: [Unicode.Scalar] = []
        var next: UInt32 = 256
        for byte in UInt32(0)...255 {
            let isPrintable =
                (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
            let value = isPrintable ? byte : next
            next += isPrintable ? 0 : 1
            table.append(Unicode.Scalar(value) ?? "?")
        }
        return table
    }()

    private static let bytes: [Unicode.Scalar: UInt8] = Dictionary(
        uniqueKeysWithValues: characters.enumerated().map { ($1, UInt8($0)) }
    )

    /// The bytes that a token's characters stand for, or nil if one stands for none.
    static func bytes(of token: String) -> [UInt8]? {
        var result: [UInt8] = []
        for scalar in token.unicodeScalars {
            guard let byte = bytes[scalar] else {
                return nil
            }
            result.append(byte)
        }
        return result
    }

    /// SentencePiece's token of a byte: `<0x0A>`.
    static func fallbackToken(of byte: Int) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x" + (digits.utf8.count == 1 ? "0" : "") + digits + ">"
    }

    /// The byte of a token of that form.
    static func fallbackByte(of token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">")
        else {
            return nil
        }
        let digits = String(decoding: token[3..<5], as: UTF8.self)
        return digits.contains("+") || digits.contains("-") ? nil : UInt8(digits, radix: 16)
    }
}
