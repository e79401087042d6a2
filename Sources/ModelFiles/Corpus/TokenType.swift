/// How a corpus stores a token; raw values are the codes of Megatron's `.idx` files.
public enum TokenType: UInt8, Sendable, CaseIterable {
    /// One byte, 0 … 255.
    case uint8 = 1
    /// One byte, -128 … 127.
    case int8 = 2
    /// Two bytes, little-endian, signed.
    case int16 = 3
    /// Four bytes, little-endian, signed.
    case int32 = 4
    /// Eight bytes, little-endian, signed.
    case int64 = 5
    /// Two bytes, little-endian, unsigned.
    case uint16 = 8

    /// Bytes of a token.
    public var byteCount: Int {
        switch self {
        case .uint8, .int8: 1
        case .int16, .uint16: 2
        case .int32: 4
        case .int64: 8
        }
    }

    /// The smallest of the two types that Megatron writes: `uint16` of fewer than 65,500 tokens, else
    /// `int32`.
    public static func smallest(vocabularySize: Int) -> TokenType {
        vocabularySize < 65_500 ? .uint16 : .int32
    }

    /// What a code means that stands for no tokens; nil of one that is unknown.
    static func otherName(_ code: UInt8) -> String? {
        switch code {
        case 6: "float64"
        case 7: "float32"
        default: nil
        }
    }
}

extension TokenType {
    /// Copies `count` tokens that begin at an address aligned to them.
    ///
    /// - Returns: The place of the first that is not in `0 ..< limit`, which is not copied and behind which
    ///   nothing is; nil if there is none.
    func copy(
        _ source: UnsafeRawPointer,
        count: Int,
        to target: UnsafeMutablePointer<Int32>,
        below limit: Int
    ) -> Int? {
        switch self {
        case .uint8: Self.copy(UInt8.self, source, count, target, limit)
        case .int8: Self.copy(Int8.self, source, count, target, limit)
        case .int16: Self.copy(Int16.self, source, count, target, limit)
        case .int32: Self.copy(Int32.self, source, count, target, limit)
        case .int64: Self.copy(Int64.self, source, count, target, limit)
        case .uint16: Self.copy(UInt16.self, source, count, target, limit)
        }
    }

    /// The place of the first token that is not in `0 ..< limit`; nil if there is none.
    func firstOutside(_ source: UnsafeRawPointer, count: Int, below limit: Int) -> Int? {
        switch self {
        case .uint8: Self.firstOutside(UInt8.self, source, count, limit)
        case .int8: Self.firstOutside(Int8.self, source, count, limit)
        case .int16: Self.firstOutside(Int16.self, source, count, limit)
        case .int32: Self.firstOutside(Int32.self, source, count, limit)
        case .int64: Self.firstOutside(Int64.self, source, count, limit)
        case .uint16: Self.firstOutside(UInt16.self, source, count, limit)
        }
    }

    /// A token, whatever it is.
    func token(at source: UnsafeRawPointer) -> Int64 {
        switch self {
        case .uint8: Int64(source.load(as: UInt8.self))
        case .int8: Int64(source.load(as: Int8.self))
        case .int16: Int64(Int16(littleEndian: source.load(as: Int16.self)))
        case .int32: Int64(Int32(littleEndian: source.load(as: Int32.self)))
        case .int64: Int64(littleEndian: source.load(as: Int64.self))
        case .uint16: Int64(UInt16(littleEndian: source.load(as: UInt16.self)))
        }
    }

    private static func copy<Value: FixedWidthInteger>(
        _ type: Value.Type,
        _ source: UnsafeRawPointer,
        _ count: Int,
        _ target: UnsafeMutablePointer<Int32>,
        _ limit: Int
    ) -> Int? {
        let values = source.assumingMemoryBound(to: Value.self)
        for index in 0..<count {
            let value = Int64(Value(littleEndian: values[index]))
            // A negative one is large without its sign.
            guard UInt64(bitPattern: value) < UInt64(limit) else { return index }
            target[index] = Int32(truncatingIfNeeded: value)
        }
        return nil
    }

    private static func firstOutside<Value: FixedWidthInteger>(
        _ type: Value.Type,
        _ source: UnsafeRawPointer,
        _ count: Int,
        _ limit: Int
    ) -> Int? {
        let values = source.assumingMemoryBound(to: Value.self)
        // Blocks without a branch in them, so that they become vector code.
        let block = 4096
        for start in stride(from: 0, to: count, by: block) {
            let end = min(start + block, count)
            var largest: UInt64 = 0
            for index in start..<end {
                let value = Int64(Value(littleEndian: values[index]))
                largest = max(largest, UInt64(bitPattern: value))
            }
            guard largest >= UInt64(limit) else { continue }
            return (start..<end).first { index in
                UInt64(bitPattern: Int64(Value(littleEndian: values[index]))) >= UInt64(limit)
            }
        }
        return nil
    }
}
