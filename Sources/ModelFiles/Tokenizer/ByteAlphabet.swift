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
}
