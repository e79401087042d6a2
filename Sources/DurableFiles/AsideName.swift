/// Names of files beside the one that they will be.
public enum AsideName {
    /// Bytes of a name, as nearly all file systems take them.
    static let byteLimit = 255

    /// The path with a suffix to its last part, which stays within what file systems take.
    ///
    /// A name that leaves no room for the suffix is cut, and a hash of all of it stands in for what is cut
    /// off: the same name gives the same one each time, so that what a crash left is found again, and
    /// another name of the same beginning another one.
    public static func path(_ path: String, suffix: String) -> String {
        let bytes = Array(path.utf8)
        let start = (bytes.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1
        let name = bytes[start...]
        let size = suffix.utf8.count
        guard name.count + size > byteLimit else { return path + suffix }
        let mark = "~" + hash(name) + suffix
        var end = start + max(0, byteLimit - mark.utf8.count)
        // No part of a letter stays.
        while end > start, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return String(decoding: bytes[..<end], as: UTF8.self) + mark
    }

    /// FNV-1a of 64 bits, in 16 hexadecimal digits; two names that share one only wait for each other.
    private static func hash(_ bytes: ArraySlice<UInt8>) -> String {
        let value = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
