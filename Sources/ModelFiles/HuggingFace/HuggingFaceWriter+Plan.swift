internal import Transformer

/// The files of a folder, known before any weight is read.
extension HuggingFaceWriter {
    static let configurationName = "config.json"
    private static let indexName = "model.safetensors.index.json"

    /// All files but the weights and config.json.
    ///
    /// - Throws: ``ModelFileError`` if a file of the source cannot be read.
    static func files(
        of description: ExportDescription,
        format: Format,
        _ shards: ShardPlan
    ) throws(ModelFileError) -> [String: SourceFiles.Content] {
        var files = try HuggingFaceFiles.files(of: description)
        if let index = shards.index {
            files[indexName] = .bytes(try HuggingFaceConfiguration.json(index, name: indexName))
        }
        for (name, root) in format.dialect?.files(description.contents) ?? [:] {
            files[name] = .bytes(try HuggingFaceConfiguration.json(root, name: name))
        }
        return files
    }

    /// config.json.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if the model's family has no room for what it
    ///   computes.
    static func configuration(
        of description: ExportDescription,
        format: Format
    ) throws(ModelFileError) -> [UInt8] {
        try HuggingFaceFiles.configuration(
            of: description,
            dtype: format.plainType == .f32 ? "float32" : "bfloat16",
            quantization: format.dialect?.configuration(description.contents)
        )
    }

    /// Bytes of all files.
    ///
    /// - Throws: ``ModelFileError`` if a file of the source cannot be read.
    static func byteCount(
        of description: ExportDescription,
        format: Format,
        _ shards: ShardPlan
    ) throws(ModelFileError) -> Int {
        var total = try configuration(of: description, format: format).count
        for content in try files(of: description, format: format, shards).values {
            total += try content.byteCount()
        }
        for shard in shards.fileNames.indices {
            total += try SafetensorsWriter.byteCount(
                of: shards.directory(of: shard),
                metadata: description.fileMetadata
            )
        }
        return total
    }
}
