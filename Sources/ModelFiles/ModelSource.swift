public import Formats
internal import Foundation
public import Kernels
public import Quantization
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
    /// What it says of itself beside its weights.
    var files: SourceFiles { get }
    /// The FP8 scales of the key-value cache it comes with; nil if it has none.
    var keyValueScales: KeyValueScales? { get }
    /// How inputs, keys and values are to be rounded as the model runs.
    var activations: StoredActivations { get }
    /// What it says of its making.
    var notes: FileNotes { get }

    /// Whole bits of an element of a parameter as stored, scales left out.
    ///
    /// - Precondition: The model has the parameter.
    func bitWidth(of entry: ParameterLayout.Entry) -> Int

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

    /// The scales under which some rows of a parameter are stored; nil unless its elements, its scales
    /// and its blocks are those of `format`.
    ///
    /// - Throws: ``ModelFileError``, naming the tensor.
    func scales(
        of entry: ParameterLayout.Entry,
        rows: Range<Int>,
        in format: QuantizationFormat
    ) throws -> BlockScales?

    /// What is stored of a parameter, codes and scales, in the model's order of rows; nil where that is no
    /// tensor of one of the suite's formats.
    ///
    /// - Throws: ``ModelFileError``, naming the tensor.
    func packed(_ entry: ParameterLayout.Entry) throws -> PackedTensor?
}

extension ModelSource {
    /// None, unless the kind of file can say so.
    public func scales(
        of entry: ParameterLayout.Entry,
        rows: Range<Int>,
        in format: QuantizationFormat
    ) throws -> BlockScales? { nil }

    /// None, unless the kind of file can say so.
    public func packed(_ entry: ParameterLayout.Entry) throws -> PackedTensor? { nil }

    /// The tokenizer.json it comes with; nil for GGUF.
    public var tokenizerJSON: [UInt8]? { files.tokenizerJSON }
    /// The chat template, if any.
    public var chatTemplate: String? { files.chatTemplate }

    /// Nothing is rounded, unless the kind of file can say so.
    public var activations: StoredActivations { StoredActivations() }

    /// Writes some rows as ``read(_:rows:into:team:)`` does, and refuses what is no number.
    ///
    /// - Throws: ``ModelFileError``; `malformed` of a NaN or an infinity, naming the tensor and the
    ///   place in it.
    public func readFinite(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        try read(entry, rows: rows, into: output, team: team)
        guard let start = output.baseAddress,
            !BlockQuantizer.amax(start, count: output.count, team: team).isFinite,
            let index = output.firstIndex(where: { !$0.isFinite })
        else { return }
        let place = [rows.lowerBound + index / entry.columns, index % entry.columns]
        // Swift prints the bits of a NaN, too.
        let value = output[index].isNaN ? "nan" : "\(output[index])"
        throw ModelFileError(
            .malformed,
            """
            \(path): tensor \(entry.name) holds \(value) at \
            \(entry.shape.count > 1 ? "\(place)" : "\([index + rows.lowerBound * entry.columns])"); \
            no model computes with that
            """
        )
    }

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

    /// The same, refusing what is no number.
    ///
    /// - Throws: ``ModelFileError``; see ``readFinite(_:rows:into:team:)``.
    public func readFinite(
        _ entry: ParameterLayout.Entry,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        try readFinite(entry, rows: 0..<entry.rows, into: output, team: team)
    }
}

/// Reads models.
public enum ModelLoader {
    /// Opens a GGUF file or a Hugging Face folder, and checks all of it but the weights' values.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public static func open(path: String) throws -> any ModelSource {
        if FileSystem.exists(path + "/config.json") {
            let weights = ["model.safetensors", "model.safetensors.index.json"]
            guard weights.contains(where: { FileSystem.exists("\(path)/\($0)") }) else {
                // What an unknown model lacks would say less than that it is unknown.
                _ = try HuggingFaceConfiguration(path: path + "/config.json")
                throw UnreadableModel.error(path)
            }
            return try HuggingFaceReader(folder: path)
        }
        // What a GGUF export puts into its folder.
        if FileSystem.exists(path + "/model.gguf") {
            return try GGUFReader(path: path + "/model.gguf")
        }
        guard begins(path, with: "GGUF".utf8) else { throw UnreadableModel.error(path) }
        return try GGUFReader(path: path)
    }

    /// The JSON files of a model's folder that begin with a byte order mark, which is skipped.
    public static func markedFiles(of folder: String) -> [String] {
        [
            "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
            "special_tokens_map.json", "model.safetensors.index.json",
        ].filter { name in
            begins("\(folder)/\(name)", with: JSONScanner.byteOrderMark)
        }
    }

    private static func begins(_ path: String, with start: some Collection<UInt8>) -> Bool {
        guard let file = try? MappedFile(path: path) else { return false }
        return withExtendedLifetime(file) { file.bytes.starts(with: start) }
    }

    /// Reads a GGUF file or a Hugging Face folder; quantized weights are dequantized to FP32.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public static func load(path: String, team: ThreadTeam) throws -> LoadedModel {
        try load(open(path: path), team: team)
    }

    /// Reads all of an opened model.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place; also of a weight that holds a NaN
    ///   or an infinity.
    public static func load(_ source: any ModelSource, team: ThreadTeam) throws -> LoadedModel {
        let tokenizer = try source.tokenizer()
        return LoadedModel(
            parameters: try parameters(of: source, team: team),
            tokenizer: tokenizer,
            source: source.kind,
            storedByteCount: source.storedByteCount,
            files: source.files,
            keyValueScales: source.keyValueScales,
            activations: source.activations
        )
    }

    /// Reads every weight and keeps none, in the memory of 16 MB.
    ///
    /// - Throws: ``ModelFileError``; `malformed` of a NaN or an infinity, naming the tensor and the
    ///   place in it.
    public static func checkValues(of source: any ModelSource) throws {
        let team = ThreadTeam(threadCount: ProcessInfo.processInfo.activeProcessorCount)
        for entry in ParameterLayout(configuration: source.configuration).entries {
            let step = max(1, (4 << 20) / entry.columns)
            let room = AlignedBuffer<Float>(count: min(step, entry.rows) * entry.columns)
            for first in stride(from: 0, to: entry.rows, by: step) {
                let rows = first..<min(first + step, entry.rows)
                let values = UnsafeMutableBufferPointer(
                    start: room.pointer,
                    count: rows.count * entry.columns
                )
                try source.readFinite(entry, rows: rows, into: values, team: team)
            }
        }
    }

    /// Reads the weights of an opened model.
    ///
    /// - Parameters:
    ///   - source: The model.
    ///   - rows: How many rows of its embedding and head are read; nil for all. No more than it has.
    ///   - team: Threads.
    /// - Returns: FP32 parameters.
    /// - Throws: ``ModelFileError``, naming the file and the place; also of a weight that holds a NaN
    ///   or an infinity.
    public static func parameters(
        of source: any ModelSource,
        vocabularySize rows: Int? = nil,
        team: ThreadTeam
    ) throws -> Parameters {
        var configuration = source.configuration
        configuration.vocabularySize = rows ?? configuration.vocabularySize
        let parameters = try Parameters(configuration: configuration)
        try read(source, into: parameters, team: team)
        return parameters
    }

    /// Reads the weights of an opened model into `parameters`, whose shape is the model's but for rows of
    /// the embedding and the head, of which the first are read.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place; also of a weight that holds a NaN
    ///   or an infinity. Some of the weights may have been read then.
    public static func read(
        _ source: any ModelSource,
        into parameters: Parameters,
        team: ThreadTeam
    ) throws {
        let stored = ParameterLayout(configuration: source.configuration).entries
        precondition(
            parameters.layout.entries.map(\.name) == stored.map(\.name),
            "\(source.path): parameters of another architecture"
        )
        for (entry, whole) in zip(parameters.layout.entries, stored) {
            precondition(entry.rows <= whole.rows, "\(entry.name): \(entry.rows) rows")
            // A vector's one row is all of it.
            try source.readFinite(
                whole,
                rows: 0..<entry.rows,
                into: parameters.elements(of: entry),
                team: team
            )
        }
    }
}
