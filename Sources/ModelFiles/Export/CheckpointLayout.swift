internal import Formats
internal import Quantization
internal import Transformer

/// How a family of inference servers wants quantized weights in a Hugging Face folder.
protocol CheckpointLayout: Sendable {
    /// The name job files use.
    var name: String { get }

    /// Why a module of this format cannot be stored, as the end of a sentence; nil if it can.
    func obstacle(
        to format: QuantizationFormat,
        module: String,
        in description: ExportDescription
    ) -> String?

    /// The tensors of one quantized module.
    func tensors(
        of entry: ParameterLayout.Entry,
        format: QuantizationFormat,
        in description: ExportDescription
    ) -> [StoredTensor]

    /// The scales of the key-value cache of a layer.
    func cacheTensors(layer: Int, keyScale: Float, valueScale: Float) -> [StoredTensor]

    /// `quantization_config` of config.json.
    func configuration(_ description: ExportDescription) -> [String: Any]

    /// Further JSON files, by name.
    func files(_ description: ExportDescription) -> [String: [String: Any]]
}

extension CheckpointLayout {
    func cacheTensors(layer: Int, keyScale: Float, valueScale: Float) -> [StoredTensor] { [] }

    func files(_ description: ExportDescription) -> [String: [String: Any]] { [:] }

    /// Why a model cannot be stored, or nil if it can.
    func obstacle(to description: ExportDescription) -> String? {
        guard !description.formats.isEmpty else {
            return "nothing is quantized"
        }
        for (module, format) in description.formats.sorted(by: { $0.key < $1.key }) {
            if module == "model.embed_tokens" || module == "lm_head" {
                return "\(module) is quantized; \(name) stores linear layers of the decoder only"
            }
            if let obstacle = obstacle(to: format, module: module, in: description) {
                let size = format.scaleKind.hasBlocks ? " by \(format.blockSize)" : ""
                return "\(module) is \(format.name)\(size); \(obstacle)"
            }
        }
        return nil
    }

    /// All tensors of the key-value cache.
    func cacheTensors(_ description: ExportDescription) -> [StoredTensor] {
        zip(description.keyAmax, description.valueAmax).enumerated().flatMap { layer, amax in
            cacheTensors(
                layer: layer,
                keyScale: ExportDescription.fp8Scale(amax.0),
                valueScale: ExportDescription.fp8Scale(amax.1)
            )
        }
    }
}

extension ExportDescription {
    /// The scale under which E4M3 holds `amax`; of zero, 1.
    static func fp8Scale(_ amax: Float) -> Float { amax > 0 ? amax / 448 : 1 }

    /// The scale of a module's inputs under a format with a scale per tensor, if it is known.
    func inputScale(_ module: String, _ format: QuantizationFormat) -> Float? {
        guard let amax = inputAmax[module], format.scaleKind.hasTensorScale else { return nil }
        // NVFP4: 6 · 448.
        return amax > 0 ? amax / (format.element == .e2m1 ? 2688 : 448) : 1
    }
}

extension QuantizationFormat {
    /// Whether elements, block size and scales are those of another format, however it rounds.
    func isStored(as other: QuantizationFormat) -> Bool {
        element == other.element && scaleKind == other.scaleKind && blockSize == other.blockSize
    }
}
