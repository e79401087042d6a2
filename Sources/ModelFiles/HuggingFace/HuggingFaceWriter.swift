internal import Foundation
internal import Transformer

/// Writes a model as a folder that Hugging Face Transformers, vLLM and others load.
public struct HuggingFaceWriter {
    /// How the model is stored.
    public enum Format: String, Sendable, CaseIterable {
        /// Everything in BF16.
        case bf16
        /// Everything in FP32.
        case f32
        /// Packed as compressed-tensors has it, what is not quantized in BF16.
        case compressedTensors = "compressed-tensors"
        /// Packed as NVIDIA ModelOpt has it.
        case modelopt
        /// Packed as AMD Quark has it.
        case quark

        var layout: (any CheckpointLayout)? {
            switch self {
            case .bf16, .f32: nil
            case .compressedTensors: CompressedTensorsLayout()
            case .modelopt: ModelOptLayout()
            case .quark: QuarkLayout()
            }
        }
    }

    /// What was written.
    public struct Summary: Sendable, Equatable {
        /// File names in the folder.
        public var files: [String]
        /// Bytes of all tensors.
        public var tensorByteCount: Int
    }

    private let quantized: QuantizedModel
    private let format: Format

    private var model: LoadedModel { quantized.model }

    /// A writer of a model.
    public init(_ quantized: QuantizedModel, format: Format) {
        self.quantized = quantized
        self.format = format
    }

    /// Why the model cannot be stored in this format, or nil if it can.
    public var obstacle: String? { format.layout?.obstacle(to: quantized) }

    /// Writes the folder; config.json comes last, so a folder with a config.json is whole.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` if the model cannot be stored.
    public func write(to folder: String) throws -> Summary {
        if let obstacle {
            throw ModelFileError(.unsupported, "\(format.rawValue): \(obstacle)")
        }
        try FileSystem.makeFolder(folder)
        var weights = SafetensorsWriter()
        let ignored = addTensors(&weights)
        let byteCount = weights.tensorByteCount
        try weights.write(to: folder + "/model.safetensors")
        var files: [String: [UInt8]] = [
            "tokenizer.json": try model.tokenizerJSON ?? TokenizerJSON.render(model.tokenizer),
            "tokenizer_config.json": try tokenizerConfig(),
            "generation_config.json": try generationConfig(),
        ]
        for (name, root) in format.layout?.files(formats: quantized.formats, ignored: ignored)
            ?? [:]
        {
            files[name] = try HuggingFaceConfiguration.json(root, name: name)
        }
        for (name, bytes) in files { try FileSystem.write(bytes, to: "\(folder)/\(name)") }
        let configuration = try HuggingFaceConfiguration.render(
            model.configuration,
            dtype: format == .f32 ? "float32" : "bfloat16",
            quantization: format.layout?.configuration(
                formats: quantized.formats,
                ignored: ignored
            )
        )
        try FileSystem.write(configuration, to: folder + "/config.json")
        return Summary(
            files: (files.keys + ["config.json", "model.safetensors"]).sorted(),
            tensorByteCount: byteCount
        )
    }

    /// Returns the linear modules that stay as they are.
    private func addTensors(_ weights: inout SafetensorsWriter) -> [String] {
        var ignored = ["lm_head"]
        for entry in model.parameters.layout.entries {
            let module = QuantizedModel.module(of: entry.name)
            if let layout = format.layout, let packed = quantized.stored[entry.name] {
                for tensor in layout.tensors(module, packed) {
                    weights.add(
                        tensor.name,
                        tensor.type,
                        shape: tensor.shape,
                        bytes: tensor.bytes
                    )
                }
                continue
            }
            let isEmbedding = module == "model.embed_tokens" || module == "lm_head"
            if entry.shape.count == 2, !isEmbedding { ignored.append(module) }
            let values = model.parameters.elements(of: entry)
            if format == .f32 {
                weights.addBorrowed(entry.name, shape: entry.shape, values: values)
            } else {
                weights.addBF16(entry.name, shape: entry.shape, values: UnsafeBufferPointer(values))
            }
        }
        return ignored
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
