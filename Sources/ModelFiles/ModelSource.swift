public import Kernels
public import Transformer

/// A stored model that hands out its weights tensor by tensor.
///
/// Opening one checks that every parameter is there in the right shape; neither weights nor the
/// tokenizer are read before they are asked for.
public protocol ModelSource {
    /// The file or folder.
    var path: String { get }
    /// The model's shape.
    var configuration: ModelConfiguration { get }
    /// What kind of file it is.
    var kind: LoadedModel.Source { get }
    /// Bytes of the tensors as stored.
    var storedByteCount: Int { get }
    /// The tokenizer.json it comes with; nil for GGUF.
    var tokenizerJSON: [UInt8]? { get }
    /// The chat template, if any.
    var chatTemplate: String? { get }
    /// The generation_config.json it comes with, whose tokens ``configuration`` has; nil if it has
    /// none.
    var generationJSON: [UInt8]? { get }
    /// The FP8 scales of the key-value cache it comes with; nil if it has none.
    var keyValueScales: KeyValueScales? { get }

    /// Reads the tokenizer.
    ///
    /// - Throws: ``ModelFileError``.
    func tokenizer() throws -> Tokenizer

    /// Writes the FP32 values of some rows of a parameter, dequantized, row-major.
    ///
    /// The mapped pages that were touched are dropped afterwards, so a model read piece by piece takes
    /// the memory of one. `output` holds `rows.count · entry.columns` elements.
    ///
    /// - Throws: ``ModelFileError``, naming the tensor.
    func read(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws
}

extension ModelSource {
    /// Writes all of one parameter's FP32 values; `output` holds `entry.count` elements.
    ///
    /// - Throws: ``ModelFileError``, naming the tensor.
    public func read(
        _ entry: ParameterLayout.Entry,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        try read(entry, rows: 0..<entry.rows, into: output, team: team)
    }
}

/// Reads models.
public enum ModelLoader {
    /// Opens a GGUF file or a Hugging Face folder, and checks all of it but the weights' values.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public static func open(path: String) throws -> any ModelSource {
        if FileSystem.exists(path + "/config.json") {
            return try HuggingFaceReader(folder: path)
        }
        // What a GGUF export puts into its folder.
        if FileSystem.exists(path + "/model.gguf") {
            return try GGUFReader(path: path + "/model.gguf")
        }
        guard FileSystem.exists(path) else {
            throw ModelFileError(.inputOutput, "\(path): no such file or folder")
        }
        return try GGUFReader(path: path)
    }

    /// Reads a GGUF file or a Hugging Face folder; quantized weights are dequantized to FP32.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public static func load(path: String, team: ThreadTeam) throws -> LoadedModel {
        try load(open(path: path), team: team)
    }

    /// Reads all of an opened model.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public static func load(_ source: any ModelSource, team: ThreadTeam) throws -> LoadedModel {
        let tokenizer = try source.tokenizer()
        let parameters = try Parameters(configuration: source.configuration)
        for entry in parameters.layout.entries {
            try source.read(entry, into: parameters.elements(of: entry), team: team)
        }
        return LoadedModel(
            parameters: parameters,
            tokenizer: tokenizer,
            source: source.kind,
            storedByteCount: source.storedByteCount,
            tokenizerJSON: source.tokenizerJSON,
            chatTemplate: source.chatTemplate,
            generationJSON: source.generationJSON,
            keyValueScales: source.keyValueScales
        )
    }
}
