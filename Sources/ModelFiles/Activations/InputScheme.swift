internal import Formats
internal import Transformer

/// What a configuration says of the inputs of a quantized module.
enum InputScheme: Equatable {
    /// They are taken as they are.
    case plain
    /// Rounded under scales that are found as the model runs.
    case dynamic(QuantizationFormat)
    /// Rounded under a scale that stands in a tensor beside the module's weight.
    case stored(QuantizationFormat, suffix: String, isReciprocal: Bool)
    /// As `stored` if the tensor is there, else as `dynamic`.
    case storedIfPresent(QuantizationFormat, suffix: String)
    /// Rounded in a way that is not known here.
    case unknown(String)

    /// In a few words, for messages.
    var phrase: String {
        switch self {
        case .plain: "as they are"
        case .dynamic(let format): "in \(format.name)"
        case .stored(let format, _, _), .storedIfPresent(let format, _):
            "in \(format.name) under a stored scale"
        case .unknown: "in a format that is not computed"
        }
    }

    /// The rounding of a module's inputs; nil if there is none.
    ///
    /// - Throws: ``ModelFileError``: `unsupported` if it is not known here or its scale is missing,
    ///   `malformed` if the scale is no positive number.
    func input(
        of module: String,
        _ tensors: CheckpointTensors
    ) throws(ModelFileError) -> ActivationQuantization.Input? {
        guard self == .plain || tensors[module + ".pre_quant_scale"] == nil else {
            throw ModelFileError(
                .unsupported,
                "\(module)'s inputs are divided by .pre_quant_scale before they are rounded"
            )
        }
        switch self {
        case .plain: return nil
        case .unknown(let what): throw ModelFileError(.unsupported, "\(module): \(what)")
        case .dynamic(let format): return .init(format: format)
        case .storedIfPresent(let format, let suffix):
            guard tensors[module + suffix] != nil else { return .init(format: format) }
            return .init(format: format, scale: try Self.scale(module + suffix, tensors))
        case .stored(let format, let suffix, let isReciprocal):
            guard tensors[module + suffix] != nil else {
                throw ModelFileError(
                    .unsupported,
                    "tensor \(module)\(suffix) is missing, under which its inputs are rounded"
                )
            }
            let value = try Self.scale(module + suffix, tensors)
            let scale = isReciprocal ? 1 / value : value
            guard scale > 0, scale.isFinite else {
                throw ModelFileError(
                    .malformed,
                    "\(tensors.folder): tensor \(module)\(suffix) is \(value); it divides"
                )
            }
            return .init(format: format, scale: scale)
        }
    }

    private static func scale(
        _ name: String,
        _ tensors: CheckpointTensors
    ) throws(ModelFileError) -> Float {
        let located = try tensors.required(
            name,
            types: [.f32, .bf16, .f16],
            shapes: [[], [1]],
            reason: "the configuration has these inputs rounded under a stored scale"
        )
        let value = try located.finiteFloats().first ?? 0
        guard value > 0 else {
            throw ModelFileError(.malformed, "\(located.path): tensor \(name) is \(value)")
        }
        return value
    }
}
