internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// A Hugging Face folder of the tiny model with files beside the weights, and its exports.
struct SourceSample {
    let folder: TemporaryFolder
    let model: LoadedModel

    var path: String { folder.path + "/tiny-1B-Chat" }

    /// A config.json whose keys and numbers are spelled as no library would write them.
    static func config(rows: Int, _ more: String = "") -> String {
        """
        {
          "model_type": "llama",
          "rope_theta": 50000.0,
          "architectures": ["LlamaForCausalLM"],
          "vocab_size": \(rows), "hidden_size": 64,
            "intermediate_size": 96, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
          "hidden_act": "silu", "rms_norm_eps": 1e-05, "max_position_embeddings": 128,
          "eos_token_id": [ 1, 2 ], "bos_token_id": 0, "pad_token_id": 2,
          "initializer_range": 2.0E-2, "transformers_version": "4.51.3",
          "dtype": "float32",\(more)
          "tie_word_embeddings": true
        }
        """
    }

    /// `padding`: Rows of the embedding above the tokenizer's tokens.
    init(
        padding: Int = 0,
        config: String = "",
        tokenizer: Bool = true,
        _ files: [String: String] = [:]
    ) throws {
        folder = try TemporaryFolder()
        let tiny = try TinyModel.make()
        var configuration = tiny.configuration
        configuration.vocabularySize += padding
        model = LoadedModel(
            parameters: try Parameters.random(
                configuration: configuration,
                seed: 3,
                deviation: 0.2
            ),
            tokenizer: tiny.tokenizer,
            source: .huggingFace,
            storedByteCount: 0,
            tokenizerJSON: tiny.tokenizerJSON,
            chatTemplate: nil
        )
        try FileSystem.makeFolder(path + "/additional_chat_templates")
        let entries = model.parameters.layout.entries
        let writer = try SafetensorsWriter(
            path: path + "/model.safetensors",
            tensors: entries.map { .init(name: $0.name, type: .f32, shape: $0.shape) }
        )
        for entry in entries {
            let values = Array(UnsafeRawBufferPointer(model.parameters.elements(of: entry)))
            try writer.write(entry.name, values)
        }
        try writer.finish()
        let own = Self.config(rows: configuration.vocabularySize, config)
        try FileSystem.write(Array(own.utf8), to: path + "/config.json")
        if tokenizer {
            let json = try #require(tiny.tokenizerJSON)
            try FileSystem.write(json, to: path + "/tokenizer.json")
        }
        for (name, text) in files {
            try FileSystem.write(Array(text.utf8), to: "\(path)/\(name)")
        }
    }

    /// Writes a source's weights as they are, without reading more than a writer asks for.
    static func export(
        _ path: String,
        to folder: String,
        format: HuggingFaceWriter.Format?,
        rename: String? = nil
    ) throws -> ModelWriterSummary {
        let source = try ModelLoader.open(path: path)
        var description = ExportDescription(
            configuration: source.configuration,
            source: source.files,
            formats: [:]
        )
        if let rename { description.source.rename(reference: rename) }
        let writer: any ModelWriter =
            if let format {
                try HuggingFaceWriter(description, format: format, folder: folder)
            } else { try GGUFWriter(description, folder: folder) }
        let team = ThreadTeam(threadCount: 1)
        for entry in ParameterLayout(configuration: source.configuration).entries {
            let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: entry.count)
            defer { values.deallocate() }
            try source.read(entry, into: values, team: team)
            try writer.write(entry, values: UnsafeBufferPointer(values), packed: nil)
        }
        return try writer.finish()
    }

    /// Exports the folder as a GGUF file, and opens it; it stays open when the folder goes.
    func gguf() throws -> GGUFFile { try GGUFFile(path: try export(nil)) }

    /// Exports the folder; the path of what came out.
    func export(
        _ format: HuggingFaceWriter.Format?,
        rename: String? = nil
    ) throws -> String {
        let target = folder.path + "/out-\(format?.layout.rawValue ?? "gguf")"
        _ = try Self.export(path, to: target, format: format, rename: rename)
        return format == nil ? target + "/model.gguf" : target
    }
}

/// A file's text.
func contents(_ path: String) throws -> String {
    String(decoding: try FileSystem.read(path, limit: 1 << 24), as: UTF8.self)
}
