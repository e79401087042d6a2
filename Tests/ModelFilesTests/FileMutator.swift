internal import Transformer

/// Damages files at random: the same seed gives the same damage.
struct FileMutator {
    private var random: SplitMix64

    private static let numbers = [
        "-1", "0", "0.5", "-0.0", "64.0", "1e308", "1e999", "-1e30", "4294967296", "1048576",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        "18446744073709551616", "1e18", "null", "true", "\"7\"", "[]", "{}", "[1,2]",
        String(repeating: "9", count: 400), String(repeating: "[", count: 5000),
        String(repeating: "{\"a\":", count: 5000),
    ]
    private static let fields: [UInt64] = [
        0, 1, 7, 0xFF, 0xFFFF, 1 << 31, 1 << 32, 1 << 40, 1 << 62, .max >> 1, .max, .max - 31,
    ]

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    /// One to four kinds of damage; most of it within the first `front` bytes.
    mutating func damage(_ bytes: [UInt8], front: Int, isText: Bool) -> [UInt8] {
        var bytes = bytes
        for _ in 0...random.below(4) where !bytes.isEmpty {
            let limit = random.below(8) == 0 ? bytes.count : min(front, bytes.count)
            switch random.below(isText ? 8 : 6) {
            case 0, 1: bytes[random.below(limit)] ^= 1 << UInt8(random.below(8))
            case 2: if random.below(4) == 0 { bytes.removeLast(1 + random.below(bytes.count)) }
            case 3: setField(&bytes, limit)
            case 4, 5: splice(&bytes, limit)
            default: replaceNumber(&bytes, from: random.below(limit))
            }
        }
        return bytes
    }

    private mutating func setField(_ bytes: inout [UInt8], _ limit: Int) {
        let value = Self.fields[random.below(Self.fields.count)]
        let start = random.below(limit)
        for index in 0..<min(random.below(2) == 0 ? 4 : 8, bytes.count - start) {
            bytes[start + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
        }
    }

    /// Copies a piece over another place, in between, or cuts it out.
    private mutating func splice(_ bytes: inout [UInt8], _ limit: Int) {
        let start = random.below(limit)
        let end = min(start + 1 + random.below(64), bytes.count)
        let piece = Array(bytes[start..<end])
        let target = random.below(limit)
        switch random.below(3) {
        case 0: bytes.insert(contentsOf: piece, at: target)
        case 1: bytes.removeSubrange(start..<end)
        default:
            bytes.replaceSubrange(target..<min(target + piece.count, bytes.count), with: piece)
        }
    }

    private mutating func replaceNumber(_ bytes: inout [UInt8], from start: Int) {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = bytes[start...].firstIndex(where: digits.contains) else { return }
        let end = bytes[first...].firstIndex { !digits.contains($0) } ?? bytes.count
        let text = Self.numbers[random.below(Self.numbers.count)]
        bytes.replaceSubrange(first..<end, with: Array(text.utf8))
    }
}
