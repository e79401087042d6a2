internal import Formats
public import Transformer

/// How a stored model says that its activations are to be rounded.
public struct StoredActivations: Sendable, Equatable {
    /// The inputs of linear modules, and keys and values.
    public var quantization: ActivationQuantization
    /// What it asks for and cannot be computed here; nil if there is nothing.
    ///
    /// A sentence without its end; ``quantization`` is then only a part.
    public var obstacle: String?

    /// Roundings; the default rounds nothing.
    public init(_ quantization: ActivationQuantization = .none, obstacle: String? = nil) {
        self.quantization = quantization
        self.obstacle = obstacle
    }

    /// The roundings.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if they are not all known here.
    public func complete() throws -> ActivationQuantization {
        if let obstacle { throw ModelFileError(.unsupported, obstacle) }
        return quantization
    }
}

extension StoredActivations {
    /// Finds the scales of what a configuration says of its quantized modules.
    ///
    /// `schemes`: By module as the files name it, with the model's modules that it holds.
    init(
        _ schemes: [(module: String, parts: [String], inputs: InputScheme)],
        _ tensors: CheckpointTensors,
        cache: KeyValueScales?
    ) throws(ModelFileError) {
        self.init(
            ActivationQuantization(
                keyScales: cache?.keys ?? [],
                valueScales: cache?.values ?? []
            )
        )
        let written = InputScheme.roundingRules(tensors.metadata)
        for (module, parts, inputs) in schemes {
            do {
                guard var input = try inputs.input(of: module, tensors) else { continue }
                if let written, written.isStored(as: input.format) { input.format = written }
                for part in parts { quantization.inputs[part] = input }
            } catch {
                guard error.code == .unsupported else { throw error }
                obstacle = obstacle ?? "\(tensors.folder): \(error.message)"
            }
        }
    }
}
