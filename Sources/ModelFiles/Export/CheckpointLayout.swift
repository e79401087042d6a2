internal import Quantization

/// One tensor as a checkpoint stores it.
struct StoredTensor {
    var name: String
    var type: SafetensorsType
    var shape: [Int]
    var bytes: [UInt8]

    /// FP32 numbers; an empty shape is a scalar.
    static func floats(_ name: String, _ values: [Float], shape: [Int]) -> StoredTensor {
        let bytes = values.flatMap { value in
            withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        }
        return StoredTensor(name: name, type: .f32, shape: shape, bytes: bytes)
    }
}

/// How a family of inference servers wants quantized weights in a Hugging Face folder.
protocol CheckpointLayout: Sendable {
    /// The name job files use.
    var name: String { get }

    /// Why a weight of this format cannot be stored, as the end of a sentence; nil if it can.
    func obstacle(to format: QuantizationFormat) -> String?

    /// The tensors of one linear module.
    func tensors(_ module: String, _ packed: PackedTensor) -> [StoredTensor]

    /// `quantization_config` of config.json. `ignored`: Linear modules that stay as they are.
    func configuration(
        formats: [String: QuantizationFormat],
        ignored: [String]
    ) -> [String: Any]

    /// Further JSON files, by name.
    func files(
        formats: [String: QuantizationFormat],
        ignored: [String]
    ) -> [String: [String: Any]]
}

extension CheckpointLayout {
    func files(
        formats: [String: QuantizationFormat],
        ignored: [String]
    ) -> [String: [String: Any]] { [:] }

    /// Why a model cannot be stored, or nil if it can.
    func obstacle(to model: QuantizedModel) -> String? {
        guard !model.stored.isEmpty else {
            return "nothing is quantized"
        }
        for (module, format) in model.formats.sorted(by: { $0.key < $1.key }) {
            if module == "model.embed_tokens" || module == "lm_head" {
                return "\(module) is quantized; \(name) stores linear layers of the decoder only"
            }
            if let obstacle = obstacle(to: format) {
                return "\(module) is \(format.name) by \(format.blockSize); \(obstacle)"
            }
        }
        return nil
    }
}

extension QuantizationFormat {
    /// Whether elements, block size and scales are those of another format, however it rounds.
    func isStored(as other: QuantizationFormat) -> Bool {
        element == other.element && scaleKind == other.scaleKind && blockSize == other.blockSize
    }
}
