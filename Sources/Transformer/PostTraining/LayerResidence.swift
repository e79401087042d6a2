public import Kernels
internal import Quantization

/// A model's parameters, of which weight matrices are in memory only while they are needed.
///
/// Norms and biases stay. A matrix comes from where it came first, or, once it is rounded, from what is
/// stored of it. Not for concurrent use.
public final class LayerResidence {
    /// Writes a parameter's values as the model came with them.
    public typealias Reader = (
        ParameterLayout.Entry, UnsafeMutableBufferPointer<Float>
    ) throws -> Void

    /// All parameters' places; matrices that are not loaded hold nothing of use.
    public let parameters: Parameters
    // Nil of what is in memory throughout.
    private let source: (read: Reader, team: ThreadTeam)?
    private var stored: [String: PackedTensor] = [:]
    // What was changed and is stored nowhere.
    private var kept: Set<String> = []

    /// All of a model, which is in memory and stays there.
    public init(whole parameters: Parameters) {
        self.parameters = parameters
        source = nil
    }

    /// A model of whose parameters norms and biases are read at once.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`), and what `read` throws.
    public init(
        configuration: ModelConfiguration,
        team: ThreadTeam,
        read: @escaping Reader
    ) throws {
        parameters = try Parameters(configuration: configuration)
        source = (read, team)
        for entry in parameters.layout.entries where !Self.isMatrix(entry) {
            try read(entry, parameters.elements(of: entry))
        }
    }

    /// Whether all of the model is in memory throughout.
    public var isWhole: Bool { source == nil }

    private static func isMatrix(_ entry: ParameterLayout.Entry) -> Bool { entry.shape.count > 1 }

    /// Calls `body` while a parameter is in memory.
    ///
    /// - Throws: What reading and `body` throw.
    public func with<Result>(
        _ entry: ParameterLayout.Entry,
        _ body: (UnsafeMutableBufferPointer<Float>) throws -> Result
    ) throws -> Result {
        try load(entry)
        defer { release(entry) }
        return try body(parameters.elements(of: entry))
    }

    /// Calls `body` while a decoder layer's parameters are in memory.
    ///
    /// - Throws: What reading and `body` throw.
    func with<Result>(layer: Int, _ body: () throws -> Result) throws -> Result {
        let entries = weights(ofLayer: layer)
        for entry in entries { try load(entry) }
        defer { for entry in entries { release(entry) } }
        return try body()
    }

    /// The matrices of a decoder layer.
    func weights(ofLayer layer: Int) -> [ParameterLayout.Entry] {
        parameters.configuration.linearModules.map {
            parameters.layout.entry(of: $0, layer: layer)
        }
    }

    /// A rounded matrix comes from what is stored of it from now on.
    func store(_ packed: PackedTensor, of entry: ParameterLayout.Entry) {
        guard !isWhole else { return }
        stored[entry.name] = packed
    }

    /// A matrix was changed, and nothing is stored of it: it stays in memory.
    func keep(_ entry: ParameterLayout.Entry) {
        guard !isWhole, stored[entry.name] == nil else { return }
        kept.insert(entry.name)
    }

    /// Whether a matrix is no longer what the model came with.
    func isChanged(_ entry: ParameterLayout.Entry) -> Bool {
        stored[entry.name] != nil || kept.contains(entry.name)
    }

    /// Writes a parameter's values as the model came with them; of a whole model, as they are now.
    func readOriginal(
        _ entry: ParameterLayout.Entry,
        into values: UnsafeMutableBufferPointer<Float>
    ) throws {
        guard let source else {
            values.baseAddress?.update(
                from: parameters.storage.pointer + entry.offset,
                count: entry.count
            )
            return
        }
        try source.read(entry, values)
    }

    private func load(_ entry: ParameterLayout.Entry) throws {
        guard let source, Self.isMatrix(entry), !kept.contains(entry.name) else { return }
        let values = parameters.elements(of: entry)
        guard let packed = stored[entry.name] else { return try source.read(entry, values) }
        try BlockQuantizer.dequantize(packed, into: values, team: source.team)
    }

    private func release(_ entry: ParameterLayout.Entry) {
        guard !isWhole, Self.isMatrix(entry), !kept.contains(entry.name) else { return }
        parameters.storage.discard(entry.offset..<entry.offset + entry.count)
    }
}
