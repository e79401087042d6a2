internal import Foundation

/// A time-ordered identifier of RFC 9562, version 7.
struct UUIDv7: CustomStringConvertible, Equatable {
    /// The 16 bytes.
    let bytes: [UInt8]

    /// An identifier of a moment, made unique by 74 random bits.
    init(
        unixMs: Int64 = Int64(Date.now.timeIntervalSince1970 * 1000),
        using generator: inout some RandomNumberGenerator
    ) {
        let time = UInt64(clamping: unixMs)
        var bytes = (0..<6).map { UInt8(truncatingIfNeeded: time >> (40 - 8 * UInt64($0))) }
        bytes += (0..<10).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        bytes[6] = 0x70 | bytes[6] & 0x0F
        bytes[8] = 0x80 | bytes[8] & 0x3F
        self.bytes = bytes
    }

    /// Whether a text is an identifier as ``description`` writes it.
    static func isOne(_ text: String) -> Bool {
        text.utf8.count == 36 && UUID(uuidString: text) != nil
    }

    /// A new identifier.
    static func now() -> UUIDv7 {
        var generator = SystemRandomNumberGenerator()
        return UUIDv7(using: &generator)
    }

    /// Lower-case digits in groups of 8, 4, 4, 4 and 12.
    var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) {
                text.append(UInt8(ascii: "-"))
            }
            text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: text, as: UTF8.self)
    }
}
