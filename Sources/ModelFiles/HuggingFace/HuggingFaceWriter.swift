internal import Foundation
public import Kernels
public import Quantization
internal import Transformer

/// Writes a model as a folder that Hugging Face Transformers, vLLM and others load.
public struct HuggingFaceWriter {
    /// How linear layers are stored.
    public enum Format: Sendable, Equatable {
        /// Everything in BF16.
        case bf16
        /// Everything in FP32.
        case f32
        /// compressed-tensors: what the recipe's final stage quantizes is packed, the rest BF16.
        case compressedTensors(QuantizationRecipe)

        /// Whether codes and scales are stored instead of values.
        public var isPacked: Bool {
            if case .compressedTensors = self { true } else { false }
        }
    }

    /// What was written.
    public struct Summary: Sendable, Equatable {
        /// File names in the folder.
        public var files: [String]
        /// Bytes of all tensors.
        public var tensorByteCount: Int
    }

    private let model: LoadedModel
    private let format: Format
    private let team: ThreadTeam

    /// A writer of `model`'s parameters.
    public init(model: LoadedModel, format: Format, team: ThreadTeam) {
        self.model = model
        self.format = format
        self.team = team
    }

    /// Why a recipe cannot be stored as compressed-tensors in this version, or nil if it can.
    public static func obstacle(to recipe: QuantizationRecipe, for model: LoadedModel) throws
        -> String?
    {
        let entries = try model.parameters.quantizedEntries(of: recipe, progress: 1)
        let others = entries.filter {
            $0.1.element != .e2m1 || $0.1.scaleKind != .e8m0 || $0.1.blockSize != 32
        }
        if let (entry, format) = others.first {
            return """
                \(others.count) modules, \(entry.name) first, are \(format.name) by \
                \(format.blockSize); mxfp4 by 32 is what this version packs
                """
        }
        if let (entry, _) = entries.first(where: { isEmbedding($0.0.name) }) {
            return "\(entry.name) is quantized; this version packs linear layers only"
        }
        return entries.isEmpty ? "nothing is quantized" : nil
    }

    /// Writes the folder; the model file comes before config.json, so a folder with a config.json is
    /// whole.
    ///
    /// Dequantizing what is written gives exactly what fake quantization of the FP32 masters gives.
    /// - Throws: ``ModelFileError``; `unsupported` if the recipe cannot be stored.
    public func write(to folder: String) throws -> Summary {
        try FileSystem.makeFolder(folder)
        var weights = SafetensorsWriter()
        var ignored: [String] = []
        var quantization: [String: Any]?
        if case .compressedTensors(let recipe) = format {
            ignored = try addPacked(&weights, recipe: recipe)
            quantization = Self.quantizationConfig(ignored: ignored)
        } else {
            for entry in model.parameters.layout.entries {
                add(&weights, entry)
            }
        }
        let byteCount = weights.tensorByteCount
        try weights.write(to: folder + "/model.safetensors")
        try FileSystem.write(
            try model.tokenizerJSON ?? TokenizerJSON.render(model.tokenizer),
            to: folder + "/tokenizer.json"
        )
        try FileSystem.write(tokenizerConfig(), to: folder + "/tokenizer_config.json")
        try FileSystem.write(generationConfig(), to: folder + "/generation_config.json")
        let dtype = format == .f32 ? "float32" : "bfloat16"
        try FileSystem.write(
            HuggingFaceConfiguration.render(
                model.configuration,
                dtype: dtype,
                quantization: quantization
            ),
            to: folder + "/config.json"
        )
        return Summary(
            files: [
                "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
                "tokenizer_config.json",
            ],
            tensorByteCount: byteCount
        )
    }

    private func add(_ weights: inout SafetensorsWriter, _ entry: ParameterLayout.Entry) {
        let values = model.parameters.elements(of: entry)
        if format == .f32 {
            weights.addBorrowed(entry.name, shape: entry.shape, values: values)
        } else {
            weights.addBF16(entry.name, shape: entry.shape, values: UnsafeBufferPointer(values))
        }
    }

    /// Returns the linear modules that stay in BF16.
    private func addPacked(
        _ weights: inout SafetensorsWriter,
        recipe: QuantizationRecipe
    ) throws -> [String] {
        if let obstacle = try Self.obstacle(to: recipe, for: model) {
            throw ModelFileError(.unsupported, "compressed-tensors: \(obstacle)")
        }
        let formats = Dictionary(
            uniqueKeysWithValues: try model.parameters.quantizedEntries(of: recipe, progress: 1)
                .map { ($0.0.name, $0.1) }
        )
        var ignored = ["lm_head"]
        for entry in model.parameters.layout.entries {
            let module = String(entry.name.dropLast(".weight".count))
            guard let format = formats[entry.name] else {
                if entry.shape.count == 2, !Self.isEmbedding(entry.name) {
                    ignored.append(module)
                }
                add(&weights, entry)
                continue
            }
            let packed = try BlockQuantizer.quantize(
                UnsafeBufferPointer(model.parameters.elements(of: entry)),
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                team: team
            )
            weights.add(
                "\(module).weight_packed",
                .u8,
                shape: [entry.rows, entry.columns / 2],
                bytes: packed.codes
            )
            weights.add(
                "\(module).weight_scale",
                .u8,
                shape: [entry.rows, entry.columns / format.blockSize],
                bytes: packed.scales
            )
        }
        return ignored
    }

    private static func isEmbedding(_ name: String) -> Bool {
        name == "model.embed_tokens.weight" || name == "lm_head.weight"
    }

    /// `quantization_config` of weight-only MXFP4, as compressed-tensors 0.18 reads it.
    private static func quantizationConfig(ignored: [String]) -> [String: Any] {
        let weights: [String: Any] = [
            "actorder": NSNull(), "block_structure": NSNull(), "dynamic": false, "group_size": 32,
            "num_bits": 4, "observer": "memoryless_minmax", "observer_kwargs": [String: Any](),
            "scale_dtype": "torch.uint8", "strategy": "group", "symmetric": true, "type": "float",
            "zp_dtype": NSNull(),
        ]
        let group: [String: Any] = [
            "format": "mxfp4-pack-quantized", "input_activations": NSNull(),
            "output_activations": NSNull(), "targets": ["Linear"], "weights": weights,
        ]
        return [
            "config_groups": ["group_0": group], "format": "mxfp4-pack-quantized",
            "global_compression_ratio": NSNull(), "ignore": ignored, "kv_cache_scheme": NSNull(),
            "quant_method": "compressed-tensors", "quantization_status": "compressed",
            "sparsity_config": [String: Any](), "transform_config": [String: Any](),
            "version": "0.18.1",
        ]
    }

    private func tokenizerConfig() throws -> [UInt8] {
        let vocabulary = model.tokenizer.vocabulary
        func text(_ token: Int?) -> String? {
            token.flatMap { vocabulary.indices.contains($0) ? vocabulary[$0] : nil }
        }
        var root: [String: Any] = [
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model.configuration.maximumPositions,
            "clean_up_tokenization_spaces": false,
        ]
        root["bos_token"] = text(model.configuration.bosToken)
        root["eos_token"] = text(model.configuration.eosToken)
        root["chat_template"] = model.chatTemplate
        return try HuggingFaceConfiguration.json(root, name: "tokenizer_config.json")
    }

    private func generationConfig() throws -> [UInt8] {
        var root: [String: Any] = ["_from_model_config": true]
        root["bos_token_id"] = model.configuration.bosToken
        root["eos_token_id"] = model.configuration.eosToken
        return try HuggingFaceConfiguration.json(root, name: "generation_config.json")
    }
}
