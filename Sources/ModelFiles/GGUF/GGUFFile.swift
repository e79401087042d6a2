/// A GGUF file's metadata and tensor directory; tensor data stays mapped.
///
/// - SeeAlso: ggml, `docs/gguf.md`.
public struct GGUFFile {
    /// A metadata value.
    public enum Value: Sendable, Equatable {
        /// Any integer type.
        case integer(Int)
        /// Either float type.
        case number(Double)
        /// A flag.
        case boolean(Bool)
        /// A text.
        case text(String)
        /// Texts.
        case texts([String])
        /// Integers.
        case integers([Int])
        /// An array of another kind, which nothing here reads.
        case other
    }

    /// One tensor.
    public struct Tensor {
        /// The name, as in `blk.0.attn_q.weight`.
        public let name: String
        /// PyTorch's shape: slowest first.
        public let shape: [Int]
        /// How elements are stored.
        public let type: GGUFTensorType
        /// The stored bytes.
        public let bytes: UnsafeRawBufferPointer
    }

    /// The mapped file.
    public let file: MappedFile
    /// Metadata by key.
    public let metadata: [String: Value]
    /// Tensors by name.
    public let tensors: [String: Tensor]

    private static let limits = (tensors: 65_536, keys: 65_536, elements: 16 << 20, text: 64 << 20)

    /// Reads the directory; every length and offset is checked before it is used.
    ///
    /// - Throws: ``ModelFileError``, naming the place.
    public init(path: String) throws(ModelFileError) {
        file = try MappedFile(path: path)
        var reader = ByteReader(file)
        let magic = try reader.integer(UInt32.self, "the magic number")
        guard magic == 0x4655_4747 else {
            throw ModelFileError(
                .malformed,
                "\(path): not a GGUF file (it does not begin with GGUF)"
            )
        }
        let version = try reader.integer(UInt32.self, "the version")
        guard version == 2 || version == 3 else {
            throw ModelFileError(.unsupported, "\(path): GGUF version \(version); 2 and 3 are read")
        }
        let tensorCount = try Self.count(&reader, "the tensor count", limit: Self.limits.tensors)
        let keyCount = try Self.count(&reader, "the metadata count", limit: Self.limits.keys)
        var metadata: [String: Value] = [:]
        for _ in 0..<keyCount {
            let key = try Self.text(&reader, "a metadata key", limit: 65_535)
            let type = try reader.integer(UInt32.self, "the type of \(key)")
            let value = try Self.value(&reader, type: type, key: key)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw ModelFileError(.malformed, "\(path): metadata key \(key) stands twice")
            }
        }
        self.metadata = metadata
        tensors = try Self.directory(&reader, count: tensorCount, metadata: metadata)
    }

    /// An integer of the metadata.
    public func integer(_ key: String) -> Int? {
        if case .integer(let value) = metadata[key] {
            return value
        }
        return nil
    }

    /// A number of the metadata, integers included.
    public func number(_ key: String) -> Double? {
        switch metadata[key] {
        case .number(let value): value
        case .integer(let value): Double(value)
        default: nil
        }
    }

    /// A text of the metadata.
    public func text(_ key: String) -> String? {
        if case .text(let value) = metadata[key] {
            return value
        }
        return nil
    }

    private static func directory(
        _ reader: inout ByteReader,
        count: Int,
        metadata: [String: Value]
    ) throws(ModelFileError) -> [String: Tensor] {
        let path = reader.file.path
        var entries: [(name: String, shape: [Int], type: GGUFTensorType, offset: UInt64)] = []
        for _ in 0..<count {
            let name = try text(&reader, "a tensor's name", limit: 1024)
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
                    "\(path): tensor \(name) has ggml type \(code); read are \(GGUFTensorType.names)"
                )
            }
            let offset = try reader.integer(UInt64.self, "the offset of \(name)")
            entries.append((name, shape, type, offset))
        }
        var alignment = 32
        if case .integer(let value) = metadata["general.alignment"] {
            guard value > 0, value <= 1 << 20, value & (value - 1) == 0 else {
                throw ModelFileError(.malformed, "\(path): general.alignment is \(value)")
            }
            alignment = value
        }
        let start = (reader.offset + alignment - 1) / alignment * alignment
        var ranges: [(lower: Int, upper: Int, name: String)] = []
        var tensors: [String: Tensor] = [:]
        for entry in entries {
            guard entry.offset % UInt64(alignment) == 0 else {
                throw ModelFileError(
                    .malformed,
                    "\(path): tensor \(entry.name) lies at \(entry.offset), no multiple of \(alignment)"
                )
            }
            let bytes = try slice(entry, start: start, file: reader.file)
            ranges.append((Int(entry.offset), Int(entry.offset) + bytes.count, entry.name))
            let tensor = Tensor(
                name: entry.name,
                shape: entry.shape,
                type: entry.type,
                bytes: bytes
            )
            guard tensors.updateValue(tensor, forKey: entry.name) == nil else {
                throw ModelFileError(.malformed, "\(path): tensor \(entry.name) stands twice")
            }
        }
        ranges.sort { $0.lower < $1.lower }
        for (first, second) in zip(ranges, ranges.dropFirst()) where second.lower < first.upper {
            throw ModelFileError(
                .malformed,
                "\(path): tensors \(first.name) and \(second.name) overlap at \(second.lower)"
            )
        }
        return tensors
    }

    private static func slice(
        _ entry: (name: String, shape: [Int], type: GGUFTensorType, offset: UInt64),
        start: Int,
        file: MappedFile
    ) throws(ModelFileError) -> UnsafeRawBufferPointer {
        var elements = 1
        for size in entry.shape {
            let (product, overflow) = elements.multipliedReportingOverflow(by: size)
            guard !overflow, product <= 1 << 44 else {
                throw ModelFileError(.malformed, "\(file.path): tensor \(entry.name) is too large")
            }
            elements = product
        }
        let columns = entry.shape.last ?? 1
        guard columns % entry.type.blockSize == 0 else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): tensor \(entry.name): \(columns) columns are no whole number of \
                \(entry.type) blocks of \(entry.type.blockSize)
                """
            )
        }
        let byteCount = elements / entry.type.blockSize * entry.type.blockByteCount
        let available = file.bytes.count - start
        guard entry.offset <= UInt64(Int.max / 2), available >= 0,
            Int(entry.offset) + byteCount <= available
        else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): truncated: tensor \(entry.name) ends at byte \
                \(entry.offset.addingReportingOverflow(UInt64(start + byteCount)).partialValue), \
                the file at \(file.bytes.count)
                """
            )
        }
        let lower = start + Int(entry.offset)
        return UnsafeRawBufferPointer(rebasing: file.bytes[lower..<lower + byteCount])
    }

    private static func value(
        _ reader: inout ByteReader,
        type: UInt32,
        key: String
    ) throws(ModelFileError) -> Value {
        switch type {
        case 0: .integer(Int(try reader.integer(UInt8.self, key)))
        case 1: .integer(Int(try reader.integer(Int8.self, key)))
        case 2: .integer(Int(try reader.integer(UInt16.self, key)))
        case 3: .integer(Int(try reader.integer(Int16.self, key)))
        case 4: .integer(Int(try reader.integer(UInt32.self, key)))
        case 5: .integer(Int(try reader.integer(Int32.self, key)))
        case 6: .number(Double(Float(bitPattern: try reader.integer(UInt32.self, key))))
        case 7: .boolean(try reader.integer(UInt8.self, key) != 0)
        case 8: .text(try text(&reader, key, limit: limits.text))
        case 9: try array(&reader, key: key)
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

    private static func array(
        _ reader: inout ByteReader,
        key: String
    ) throws(ModelFileError) -> Value {
        let type = try reader.integer(UInt32.self, "the element type of \(key)")
        let count = try Self.count(&reader, "the length of \(key)", limit: limits.elements)
        switch type {
        case 8:
            var texts: [String] = []
            for _ in 0..<count {
                texts.append(try text(&reader, key, limit: 1 << 20))
            }
            return .texts(texts)
        case 0, 1, 2, 3, 4, 5, 10, 11:
            var integers: [Int] = []
            for _ in 0..<count {
                if case .integer(let value) = try value(&reader, type: type, key: key) {
                    integers.append(value)
                }
            }
            return .integers(integers)
        case 6, 7, 12:
            _ = try reader.bytes(count * (type == 7 ? 1 : type == 6 ? 4 : 8), key)
            return .other
        default:
            throw ModelFileError(
                .malformed,
                "\(reader.file.path): metadata \(key) is an array of the unreadable type \(type)"
            )
        }
    }

    private static func count(
        _ reader: inout ByteReader,
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

    private static func text(
        _ reader: inout ByteReader,
        _ what: String,
        limit: Int
    ) throws(ModelFileError) -> String {
        let count = try count(&reader, "the length of \(what)", limit: limit)
        let bytes = try reader.bytes(count, what)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ModelFileError(.malformed, "\(reader.file.path): \(what) is not UTF-8")
        }
        return text
    }
}
