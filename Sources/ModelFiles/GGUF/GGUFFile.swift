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
        /// Flags.
        case flags([Bool])
        /// FP32 numbers.
        case floats([Float])
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
    /// Where the type and the value of each metadata key stand in the file, in order.
    let pairs: [GGUFOrigin.Pair]
    /// Tensors by name.
    public let tensors: [String: Tensor]

    /// Reads the directory; every length and offset is checked before it is used.
    ///
    /// - Throws: ``ModelFileError``, naming the place.
    public init(path: String) throws(ModelFileError) {
        file = try MappedFile(path: path)
        var parser = GGUFParser(file)
        let (tensorCount, keyCount) = try parser.header()
        metadata = try parser.metadata(count: keyCount)
        pairs = parser.pairs.map { GGUFOrigin.Pair(key: $0.key, value: $0.value) }
        let directory = try parser.directory(count: tensorCount)
        tensors = try GGUFDirectory.tensors(
            directory,
            headerEnd: parser.offset,
            metadata: metadata,
            file: file
        )
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
}
