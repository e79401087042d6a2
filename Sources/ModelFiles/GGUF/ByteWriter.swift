/// Appends little-endian values as GGUF stores them.
struct ByteWriter {
    /// A metadata value.
    enum Value {
        case unsigned(UInt32)
        case float(Float)
        case boolean(Bool)
        case text(String)
        case texts([String])
        case integers([Int32])
        case flags([Bool])
        case floats([Float])
        /// A type and a value as another file has them.
        case stored([UInt8])
    }

    private(set) var bytes: [UInt8] = []

    mutating func integer(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func text(_ text: String) {
        integer(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func pair(_ key: String, _ value: Value) {
        text(key)
        switch value {
        case .unsigned(let number):
            integer(UInt32(4))
            integer(number)
        case .float(let number):
            integer(UInt32(6))
            integer(number.bitPattern)
        case .boolean(let flag):
            integer(UInt32(7))
            integer(UInt8(flag ? 1 : 0))
        case .text(let value):
            integer(UInt32(8))
            text(value)
        case .texts(let values):
            integer(UInt32(9))
            integer(UInt32(8))
            integer(UInt64(values.count))
            for value in values { text(value) }
        case .integers(let values):
            integer(UInt32(9))
            integer(UInt32(5))
            integer(UInt64(values.count))
            for value in values { integer(value) }
        case .flags(let values):
            integer(UInt32(9))
            integer(UInt32(7))
            integer(UInt64(values.count))
            for value in values { integer(UInt8(value ? 1 : 0)) }
        case .floats(let values):
            integer(UInt32(9))
            integer(UInt32(6))
            integer(UInt64(values.count))
            for value in values { integer(value.bitPattern) }
        case .stored(let pair): bytes += pair
        }
    }

    /// The only element of a list, or a text, without what stands before it.
    mutating func element(_ value: Value) {
        var writer = ByteWriter()
        writer.pair("", value)
        // The key's length and the type; of a list also the type of the elements and their number.
        let isText = if case .text = value { true } else { false }
        bytes += writer.bytes.dropFirst(isText ? 12 : 24)
    }

    mutating func pad(to alignment: Int) {
        bytes.append(
            contentsOf: repeatElement(0, count: (alignment - bytes.count % alignment) % alignment)
        )
    }
}
