internal import Formats
internal import Foundation
public import Quantization
public import Transformer

/// Writes a model as a folder that Hugging Face Transformers, vLLM and others load; config.json comes
/// last, so a folder with a config.json is whole.
public final class HuggingFaceWriter: ModelWriter {
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

        /// How quantized modules are stored; nil of plain formats.
        var dialect: (any CheckpointDialect)? { CheckpointDialects.named(rawValue) }

        /// Why a model cannot be stored in this format, or nil if it can.
        public func obstacle(to description: ExportDescription) -> String? {
            dialect?.obstacles(to: description.contents).first?.description
        }
    }

    private let description: ExportDescription
    private let format: Format
    private let folder: String
    private let shards: ShardPlan
    private var open: [Int: SafetensorsWriter] = [:]
    /// The scale per tensor of the parameter that was written last.
    private var sharedScale: Float?

    /// Begins a folder.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` if the model cannot be stored.
    public init(_ description: ExportDescription, format: Format, folder: String) throws {
        if let obstacle = format.obstacle(to: description) {
            throw ModelFileError(.unsupported, "\(format.rawValue): \(obstacle)")
        }
        self.description = description
        self.format = format
        self.folder = folder
        shards = ShardPlan(
            description.contents,
            format: format,
            shardByteCount: description.shardByteCount
        )
        try FileSystem.makeFolder(folder)
        // A folder of an earlier attempt must not pass for a whole one.
        unlink(folder + "/config.json")
    }

    /// Writes one parameter.
    public func write(
        _ entry: ParameterLayout.Entry,
        values: UnsafeBufferPointer<Float>,
        packed: PackedTensor?
    ) throws {
        let (tensors, part) = shards.place(of: entry)
        try checkSharedScales(entry, packed, part: part)
        for tensor in tensors {
            let shard = try writer(of: tensor.name)
            if tensor.isPlain {
                try write(values, as: tensor, to: shard.writer)
            } else {
                let bytes = tensor.stored.bytes(of: packed, part: part)
                if bytes.isEmpty { continue }
                try shard.writer.write(tensor.name, bytes)
            }
            if shard.writer.isComplete {
                try shard.writer.finish()
                open[shard.index] = nil
            }
        }
    }

    /// Writes some rows of a parameter that is not quantized.
    public func write(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        values: UnsafeBufferPointer<Float>
    ) throws {
        try write(entry, values: values, packed: nil)
    }

    /// Writes the scales of the cache, the tokenizer and the configuration.
    public func finish() throws -> ModelWriterSummary {
        for tensor in shards.cacheTensors {
            let shard = try writer(of: tensor.name)
            try shard.writer.write(tensor.name, tensor.bytes(of: nil))
            if shard.writer.isComplete {
                try shard.writer.finish()
                open[shard.index] = nil
            }
        }
        precondition(open.isEmpty, "\(folder): \(open.count) shards are incomplete")
        let carried = try HuggingFaceFiles.files(of: description)
        var files: [String: [UInt8]] = [:]
        if let index = shards.index {
            files["model.safetensors.index.json"] = try HuggingFaceConfiguration.json(
                index,
                name: "model.safetensors.index.json"
            )
        }
        for (name, root) in format.dialect?.files(description.contents) ?? [:] {
            files[name] = try HuggingFaceConfiguration.json(root, name: name)
        }
        for (name, bytes) in files { try FileSystem.write(bytes, to: "\(folder)/\(name)") }
        try write(carried)
        let configuration = try HuggingFaceFiles.configuration(
            of: description,
            dtype: format == .f32 ? "float32" : "bfloat16",
            quantization: format.dialect?.configuration(description.contents)
        )
        try FileSystem.write(configuration, to: folder + "/config.json")
        return ModelWriterSummary(
            files: (Array(carried.keys) + files.keys + shards.fileNames + ["config.json"]).sorted(),
            tensorByteCount: shards.tensorByteCount,
            notes: description.source.notes
        )
    }

    private func write(_ files: [String: SourceFiles.Content]) throws {
        for (name, content) in files {
            if name.contains("/") {
                try FileSystem.makeFolder("\(folder)/\(SourceFolder.templateFolder)")
            }
            try FileSystem.write(try content.read(), to: "\(folder)/\(name)")
        }
    }

    /// Parts of one module have one scale per tensor in the file.
    private func checkSharedScales(
        _ entry: ParameterLayout.Entry,
        _ packed: PackedTensor?,
        part: Int
    ) throws {
        guard let scale = packed?.globalScale else { return }
        if part > 0, let sharedScale, sharedScale != scale {
            throw ModelFileError(
                .unsupported,
                """
                \(folder): \(entry.name) has the scale \(scale), the part above it in the same \
                tensor \(sharedScale); quantize them under one
                """
            )
        }
        sharedScale = scale
    }

    private func writer(of tensor: String) throws -> (index: Int, writer: SafetensorsWriter) {
        let index = shards.shard(of: tensor)
        if let writer = open[index] {
            return (index, writer)
        }
        let writer = try SafetensorsWriter(
            path: "\(folder)/\(shards.fileNames[index])",
            tensors: shards.directory(of: index),
            metadata: description.fileMetadata
        )
        open[index] = writer
        return (index, writer)
    }

    private func write(
        _ values: UnsafeBufferPointer<Float>,
        as tensor: ShardPlan.Tensor,
        to writer: SafetensorsWriter
    ) throws {
        guard tensor.stored.type == .bf16 else {
            return try writer.write(tensor.name, UnsafeRawBufferPointer(values))
        }
        try writer.write(tensor.name, HalfPrecision.bfloats(values))
    }
}
