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
    /// - Parameters:
    ///   - schemes: What is said of each.
    ///   - tensors: The folder's.
    ///   - cache: Scales of keys and values.
    ///   - obstacle: What is said of keys and values and is not computed.
    /// - Throws: ``ModelFileError`` (`malformed`) if a scale is no positive number.
    init(
        _ schemes: [(module: StoredModule, inputs: InputScheme)],
        _ tensors: CheckpointTensors,
        cache: KeyValueScales?,
        obstacle: String?
    ) throws(ModelFileError) {
        self.init(
            ActivationQuantization(
                keyScales: cache?.keys ?? [],
                valueScales: cache?.values ?? []
            ),
            obstacle: obstacle.map { "\(tensors.folder): \($0)" }
        )
        var written: QuantizationFormat?
        do throws(ModelFileError) {
            written = try FileNotes(tensors.metadata).activations()
        } catch {
            self.obstacle = self.obstacle ?? "\(tensors.folder): \(error.message)"
        }
        for (module, inputs) in schemes {
            do {
                guard var input = try inputs.input(of: module.name, tensors) else { continue }
                if let written, written.isStored(as: input.format) { input.format = written }
                for part in module.parts { quantization.inputs[part.module] = input }
            } catch {
                guard error.code == .unsupported else { throw error }
                self.obstacle = self.obstacle ?? "\(tensors.folder): \(error.message)"
            }
        }
    }
}
