internal import Foundation
internal import Quantization
internal import Transformer

/// Writes a model as one GGUF file, which llama.cpp loads.
///
/// MXFP4 by 32 and NVFP4 by 16 are stored as such, MXINT8 by 32 as Q8_0; all other weights are BF16,
/// which holds the values of the other block formats exactly. Vectors are FP32.
/// - SeeAlso: ggml, `docs/gguf.md`; llama.cpp, `conversion/llama.py`.
public struct GGUFWriter {
    private let quantized: QuantizedModel
    private var model: LoadedModel { quantized.model }
    private static let alignment = 32

    /// A writer of a model.
    public init(_ quantized: QuantizedModel) {
        self.quantized = quantized
    }

    /// Writes `model.gguf` into a folder.
    ///
    /// Returns the bytes of all tensors.
    /// - Throws: ``ModelFileError``; `unsupported` for rotary scaling.
    public func write(to folder: String) throws -> Int {
        guard model.configuration.ropeScaling == nil else {
            throw ModelFileError(.unsupported, "gguf: rotary scaling is not written")
        }
        try FileSystem.makeFolder(folder)
        let tensors = model.parameters.layout.entries.flatMap { entry in
            GGUFTensorEncoder(entry, model: model, packed: quantized.stored[entry.name]).tensors
        }
        var header = ByteWriter()
        header.integer(UInt32(0x4655_4747))
        header.integer(UInt32(3))
        header.integer(UInt64(tensors.count))
        let metadata = metadata(tensors)
        header.integer(UInt64(metadata.count))
        for (key, value) in metadata { header.pair(key, value) }
        var offset = 0
        for tensor in tensors {
            header.text(tensor.name)
            header.integer(UInt32(tensor.shape.count))
            for extent in tensor.shape.reversed() { header.integer(UInt64(extent)) }
            header.integer(tensor.type.rawValue)
            header.integer(UInt64(offset))
            offset += Self.padded(tensor.bytes.count)
        }
        header.pad(to: Self.alignment)
        try Self.write(header.bytes, tensors, to: folder + "/model.gguf")
        return tensors.reduce(0) { $0 + $1.bytes.count }
    }

    private static func padded(_ count: Int) -> Int {
        (count + alignment - 1) / alignment * alignment
    }

    private static func write(
        _ header: [UInt8],
        _ tensors: [GGUFTensorEncoder.Tensor],
        to path: String
    ) throws {
        let parts =
            [header]
            + tensors.map { tensor in
                let padding = padded(tensor.bytes.count) - tensor.bytes.count
                return tensor.bytes + [UInt8](repeating: 0, count: padding)
            }
        var copies: [UnsafeMutableRawBufferPointer] = []
        defer { copies.forEach { $0.deallocate() } }
        for part in parts {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: part.count, alignment: 8)
            copy.copyBytes(from: part)
            copies.append(copy)
        }
        try FileSystem.write(copies.map { UnsafeRawBufferPointer($0) }, to: path)
    }

    private func metadata(_ tensors: [GGUFTensorEncoder.Tensor]) -> [(String, ByteWriter.Value)] {
        let c = model.configuration
        var pairs: [(String, ByteWriter.Value)] = [
            ("general.architecture", .text("llama")), ("general.name", .text("qat")),
            ("general.file_type", .unsigned(Self.fileType(tensors))),
            ("general.quantization_version", .unsigned(2)),
            ("general.alignment", .unsigned(UInt32(Self.alignment))),
            ("llama.block_count", .unsigned(UInt32(c.layerCount))),
            ("llama.context_length", .unsigned(UInt32(c.maximumPositions))),
            ("llama.embedding_length", .unsigned(UInt32(c.hiddenSize))),
            ("llama.feed_forward_length", .unsigned(UInt32(c.intermediateSize))),
            ("llama.attention.head_count", .unsigned(UInt32(c.headCount))),
            ("llama.attention.head_count_kv", .unsigned(UInt32(c.keyValueHeadCount))),
            ("llama.attention.layer_norm_rms_epsilon", .float(c.rmsNormEpsilon)),
            ("llama.attention.key_length", .unsigned(UInt32(c.headDimension))),
            ("llama.attention.value_length", .unsigned(UInt32(c.headDimension))),
            ("llama.rope.freq_base", .float(Float(c.ropeTheta))),
            ("llama.rope.dimension_count", .unsigned(UInt32(c.headDimension))),
            ("llama.vocab_size", .unsigned(UInt32(c.vocabularySize))),
        ]
        pairs += tokenizerMetadata()
        return pairs
    }

    private func tokenizerMetadata() -> [(String, ByteWriter.Value)] {
        let tokenizer = model.tokenizer
        var types = [Int32](repeating: 1, count: tokenizer.vocabulary.count)
        for token in tokenizer.addedTokens where types.indices.contains(Int(token.id)) {
            types[Int(token.id)] = token.isSpecial ? 3 : 4
        }
        var pairs: [(String, ByteWriter.Value)] = [
            ("tokenizer.ggml.model", .text("gpt2")),
            ("tokenizer.ggml.pre", .text(tokenizer.preTokenizer.rawValue)),
            ("tokenizer.ggml.tokens", .texts(tokenizer.vocabulary)),
            ("tokenizer.ggml.token_type", .integers(types)),
            ("tokenizer.ggml.merges", .texts(tokenizer.merges.map { "\($0.0) \($0.1)" })),
            ("tokenizer.ggml.add_bos_token", .boolean(tokenizer.preTokenizer == .llama3)),
        ]
        if let token = model.configuration.bosToken {
            pairs.append(("tokenizer.ggml.bos_token_id", .unsigned(UInt32(clamping: token))))
        }
        if let token = model.configuration.eosToken {
            pairs.append(("tokenizer.ggml.eos_token_id", .unsigned(UInt32(clamping: token))))
        }
        if let template = model.chatTemplate {
            pairs.append(("tokenizer.chat_template", .text(template)))
        }
        return pairs
    }

    /// llama.cpp's number for what most weights are.
    private static func fileType(_ tensors: [GGUFTensorEncoder.Tensor]) -> UInt32 {
        let types = Set(tensors.map(\.type))
        if types.contains(.mxfp4) { return 38 }
        if types.contains(.nvfp4) { return 39 }
        return types.contains(.q8_0) ? 7 : 32
    }
}

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
        }
    }

    mutating func pad(to alignment: Int) {
        bytes.append(
            contentsOf: repeatElement(0, count: (alignment - bytes.count % alignment) % alignment)
        )
    }
}
