/// Numbers by byte strings: a hash table that compares bytes, as text compares canonically.
///
/// Keys lie one after another in one array, so that looking up a piece of a text allocates nothing.
struct TokenTable: Sendable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = [0]
    private var values: [Int32] = []
    /// Entry numbers plus one; zero is free.
    ///
    /// The count is a power of two.
    private var slots: [UInt32]

    init(capacity: Int = 8) {
        var count = 16
        while count < 2 * capacity { count *= 2 }
        slots = [UInt32](repeating: 0, count: count)
    }

    var count: Int { values.count }

    /// The number of a key; nil if there is none.
    subscript(key: UnsafeBufferPointer<UInt8>) -> Int32? {
        let slot = slots[slot(of: key)]
        return slot == 0 ? nil : values[Int(slot) - 1]
    }

    /// The number of a text's UTF-8.
    subscript(text: String) -> Int32? {
        var text = text
        return text.withUTF8 { self[$0] }
    }

    /// Sets a key's number.
    ///
    /// - Returns: The number that the key had, if any.
    @discardableResult
    mutating func insert(_ key: UnsafeBufferPointer<UInt8>, _ value: Int32) -> Int32? {
        if 2 * (values.count + 1) > slots.count { grow() }
        let place = slot(of: key)
        if slots[place] != 0 {
            let entry = Int(slots[place]) - 1
            defer { values[entry] = value }
            return values[entry]
        }
        bytes.append(contentsOf: key)
        ends.append(bytes.count)
        values.append(value)
        slots[place] = UInt32(values.count)
        return nil
    }

    @discardableResult
    mutating func insert(_ text: String, _ value: Int32) -> Int32? {
        var text = text
        return text.withUTF8 { insert($0, value) }
    }

    private func slot(of key: UnsafeBufferPointer<UInt8>) -> Int {
        let mask = slots.count - 1
        var place = Int(truncatingIfNeeded: Self.hash(key)) & mask
        while true {
            let slot = slots[place]
            if slot == 0 || matches(Int(slot) - 1, key) { return place }
            place = (place + 1) & mask
        }
    }

    private func matches(_ entry: Int, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
        let start = ends[entry]
        guard ends[entry + 1] - start == key.count else { return false }
        for index in 0..<key.count where bytes[start + index] != key[index] { return false }
        return true
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: 2 * slots.count)
        let mask = slots.count - 1
        bytes.withUnsafeBufferPointer { bytes in
            for entry in values.indices {
                let key = UnsafeBufferPointer(rebasing: bytes[ends[entry]..<ends[entry + 1]])
                var place = Int(truncatingIfNeeded: Self.hash(key)) & mask
                while slots[place] != 0 { place = (place + 1) & mask }
                slots[place] = UInt32(entry + 1)
            }
        }
    }

    /// FNV-1a with a last mixing, as the low bits choose the slot.
    ///
    /// A process-wide seed keeps a file
    /// from choosing keys that all collide.
    private static func hash(_ key: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var hash = seed
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash ^= hash >> 32
        hash = hash &* 0x9E37_79B9_7F4A_7C15
        return hash ^ (hash >> 29)
    }

    private static let seed = UInt64.random(in: .min ... .max)
}

/// Merges by pairs of token numbers: a hash table without the cost of a general one.
struct PairTable: Sendable {
    /// What becomes of a pair.
    struct Merge: Sendable {
        let rank: Int32
        let result: Int32
    }

    private var keys: [UInt64]
    private var merges: [Merge]
    private let mask: Int

    /// No token pair has this key, as numbers are not negative.
    private static let free = UInt64.max

    init(capacity: Int) {
        var count = 16
        while count < 2 * capacity { count *= 2 }
        mask = count - 1
        keys = [UInt64](repeating: Self.free, count: count)
        merges = [Merge](repeating: Merge(rank: 0, result: 0), count: count)
    }

    subscript(left: Int32, right: Int32) -> Merge? {
        let place = place(Self.key(left, right))
        return keys[place] == Self.free ? nil : merges[place]
    }

    /// Sets a pair's merge; at most `capacity` pairs.
    mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
        let place = place(Self.key(left, right))
        keys[place] = Self.key(left, right)
        merges[place] = merge
    }

    private func place(_ key: UInt64) -> Int {
        var hash = key &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 32
        var place = Int(truncatingIfNeeded: hash) & mask
        while keys[place] != key && keys[place] != Self.free { place = (place + 1) & mask }
        return place
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }
}
