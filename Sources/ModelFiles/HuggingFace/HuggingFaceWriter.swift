internal import Formats
internal import Foundation
public import Quantization
public import Transformer

/// Writes a model as a folder that Hugging Face Transformers, vLLM and others load; config.json comes
/// last, so a folder with a config.json is whole.
public final class HuggingFaceWriter: ModelWriter {
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
            throw ModelFileError(.unsupported, "\(format.layout.rawValue): \(obstacle)")
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
        let files = try Self.files(of: description, format: format, shards)
        for (name, content) in files {
            if name.contains("/") {
                try FileSystem.makeFolder("\(folder)/\(SourceFolder.templateFolder)")
            }
            try FileSystem.write(try content.read(), to: "\(folder)/\(name)")
        }
        try FileSystem.write(
            try Self.configuration(of: description, format: format),
            to: "\(folder)/\(Self.configurationName)"
        )
        return ModelWriterSummary(
            files: (Array(files.keys) + shards.fileNames + [Self.configurationName]).sorted(),
            tensorByteCount: shards.tensorByteCount,
            notes: description.source.notes
        )
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
