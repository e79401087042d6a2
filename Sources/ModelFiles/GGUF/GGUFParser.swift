/// Reads a GGUF file's header, one value after another.
///
/// Counts are checked before anything is allocated for them, and what all arrays and texts take
/// together is bounded, however large the file.
struct GGUFParser {
    /// A tensor of the directory, as the file has it.
    struct Entry {
        let name: String
        /// Slowest first.
        let shape: [Int]
        let type: GGUFTensorType
        /// After the header.
        let offset: UInt64
    }

    private static let limits = (
        tensors: 65_536, keys: 65_536, elements: 16 << 20, text: 64 << 20, allTexts: 256 << 20
    )

    private var reader: ByteReader
    private var elementsLeft = limits.elements
    private var textBytesLeft = limits.allTexts

    init(_ file: MappedFile) {
        reader = ByteReader(file)
    }

    /// Where the type and the value of each metadata key stand, in order.
    private(set) var pairs: [(key: String, value: Range<Int>)] = []

    /// Where the next value stands.
    var offset: Int { reader.offset }

    /// The magic number, the version, and how many tensors and metadata keys there are.
    mutating func header() throws(ModelFileError) -> (tensorCount: Int, keyCount: Int) {
        let path = reader.file.path
        guard try reader.integer(UInt32.self, "the magic number") == 0x4655_4747 else {
            throw ModelFileError(
                .malformed,
                "\(path): not a GGUF file (it does not begin with GGUF)"
            )
        }
        let version = try reader.integer(UInt32.self, "the version")
        guard version == 2 || version == 3 else {
            throw ModelFileError(.unsupported, "\(path): GGUF version \(version); 2 and 3 are read")
        }
        return (
            try count("the tensor count", limit: Self.limits.tensors),
            try count("the metadata count", limit: Self.limits.keys)
        )
    }

    mutating func metadata(count: Int) throws(ModelFileError) -> [String: GGUFFile.Value] {
        var metadata: [String: GGUFFile.Value] = [:]
        for _ in 0..<count {
            let key = try text("a metadata key", limit: 65_535)
            let start = reader.offset
            let type = try reader.integer(UInt32.self, "the type of \(key)")
            let value = try value(type: type, key: key)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw ModelFileError(
                    .malformed,
                    "\(reader.file.path): metadata key \(key) stands twice"
                )
            }
            pairs.append((key, start..<reader.offset))
        }
        return metadata
    }

    mutating func directory(count: Int) throws(ModelFileError) -> [Entry] {
        var entries: [Entry] = []
        for _ in 0..<count { entries.append(try entry()) }
        return entries
    }

    private mutating func entry() throws(ModelFileError) -> Entry {
        let path = reader.file.path
        let name = try text("a tensor's name", limit: 1024)
        let rank = try reader.integer(UInt32.self, "the rank of \(name)")
        guard rank <= 4 else {
            throw ModelFileError(.malformed, "\(path): tensor \(name) has \(rank) dimensions")
        }
        var shape: [Int] = []
        for _ in 0..<rank {
            let size = try reader.integer(UInt64.self, "a dimension of \(name)")
            guard size > 0, size <= 1 << 40 else {
                throw ModelFileError(.malformed, "\(path): tensor \(name): dimension \(size)")
            }
            shape.insert(Int(size), at: 0)
        }
        let code = try reader.integer(UInt32.self, "the type of \(name)")
        guard let type = GGUFTensorType(rawValue: code) else {
            throw ModelFileError(
                .unsupported,
                "\(path): tensor \(name) is \(GGMLTypeName.text(code)); read are \(GGUFTensorType.names)"
            )
        }
        let offset = try reader.integer(UInt64.self, "the offset of \(name)")
        return Entry(name: name, shape: shape, type: type, offset: offset)
    }

    private mutating func value(
        type: UInt32,
        key: String
    ) throws(ModelFileError) -> GGUFFile.Value {
        switch type {
        case 0: .integer(Int(try reader.integer(UInt8.self, key)))
        case 1: .integer(Int(try reader.integer(Int8.self, key)))
        case 2: .integer(Int(try reader.integer(UInt16.self, key)))
        case 3: .integer(Int(try reader.integer(Int16.self, key)))
        case 4: .integer(Int(try reader.integer(UInt32.self, key)))
        case 5: .integer(Int(try reader.integer(Int32.self, key)))
        case 6: .number(Double(Float(bitPattern: try reader.integer(UInt32.self, key))))
        case 7: .boolean(try flag(key))
        case 8: .text(try text(key, limit: Self.limits.text))
        case 9: try array(key: key)
        case 10: .integer(Int(clamping: try reader.integer(UInt64.self, key)))
        case 11: .integer(Int(try reader.integer(Int64.self, key)))
        case 12: .number(Double(bitPattern: try reader.integer(UInt64.self, key)))
        default:
            throw ModelFileError(
                .malformed,
                "\(reader.file.path): metadata \(key) has the unknown type \(type)"
            )
        }
    }

    private mutating func flag(_ key: String) throws(ModelFileError) -> Bool {
        let byte = try reader.integer(UInt8.self, key)
        guard byte <= 1 else {
            throw ModelFileError(.malformed, "\(reader.file.path): flag \(key) is \(byte)")
        }
        return byte == 1
    }

    private mutating func array(
        key: String
    ) throws(ModelFileError) -> GGUFFile.Value {
        let type = try reader.integer(UInt32.self, "the element type of \(key)")
        let count = try self.count("the length of \(key)", limit: elementsLeft)
        elementsLeft -= count
        switch type {
        case 8:
            var texts: [String] = []
            for _ in 0..<count {
                texts.append(try text(key, limit: 1 << 20))
            }
            return .texts(texts)
        case 0, 1, 2, 3, 4, 5, 10, 11:
            var integers: [Int] = []
            for _ in 0..<count {
                if case .integer(let value) = try self.value(type: type, key: key) {
                    integers.append(value)
                }
            }
            return .integers(integers)
        case 6:
            var floats: [Float] = []
            for _ in 0..<count {
                floats.append(Float(bitPattern: try reader.integer(UInt32.self, key)))
            }
            return .floats(floats)
        case 7:
            var flags: [Bool] = []
            for _ in 0..<count { flags.append(try flag(key)) }
            return .flags(flags)
        case 12:
            _ = try reader.bytes(count * 8, key)
            return .other
        default:
            throw ModelFileError(
                .malformed,
                "\(reader.file.path): metadata \(key) is an array of the unreadable type \(type)"
            )
        }
    }

    private mutating func count(
        _ what: String,
        limit: Int
    ) throws(ModelFileError) -> Int {
        let count = try reader.integer(UInt64.self, what)
        guard count <= UInt64(limit) else {
            throw ModelFileError(
                .malformed,
                "\(reader.file.path): \(what) is \(count), above the limit of \(limit)"
            )
        }
        return Int(count)
    }

    private mutating func text(
        _ what: String,
        limit: Int
    ) throws(ModelFileError) -> String {
        let count = try self.count("the length of \(what)", limit: limit)
        let bytes = try reader.bytes(count, what)
        textBytesLeft -= count
        guard textBytesLeft >= 0 else {
            throw ModelFileError(
                .malformed,
                "\(reader.file.path): texts of more than \(Self.limits.allTexts) bytes"
            )
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ModelFileError(.malformed, "\(reader.file.path): \(what) is not UTF-8")
        }
        return text
    }
}
