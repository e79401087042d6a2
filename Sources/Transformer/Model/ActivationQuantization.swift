public import Formats

/// How what flows through a model is rounded as it runs: the inputs of linear modules, and the keys
/// and values that attention sees.
///
/// Rounding weights is not its business: an export holds rounded weights and says this beside them.
public struct ActivationQuantization: Sendable, Equatable {
    /// How a module's inputs are rounded.
    public struct Input: Sendable, Equatable {
        /// The format; FP32 scales per channel are scales per token here.
        public var format: QuantizationFormat
        /// The FP32 scale of the tensor, where it was found beforehand.
        ///
        /// The value of one step of FP8, or of one unit of NVFP4's block scales. Nil finds it in the
        /// inputs of each pass.
        public var scale: Float?

        /// Inputs of a format.
        ///
        /// - Precondition: Only formats with a scale per tensor have a `scale`.
        public init(format: QuantizationFormat, scale: Float? = nil) {
            precondition(
                scale == nil || format.scaleKind.hasTensorScale,
                "inputs in \(format.name) have no scale per tensor"
            )
            self.format = format
            self.scale = scale
        }
    }

    /// By module name, as in `model.layers.0.self_attn.q_proj`; modules without are taken as they are.
    public var inputs: [String: Input]
    /// The value of one step of E4M3 keys, rotary embedding included, by layer; empty for none.
    public var keyScales: [Float]
    /// The same of values.
    public var valueScales: [Float]

    /// Roundings of a model.
    public init(
        inputs: [String: Input] = [:],
        keyScales: [Float] = [],
        valueScales: [Float] = []
    ) {
        self.inputs = inputs
        self.keyScales = keyScales
        self.valueScales = valueScales
    }

    /// What training simulates of a recipe: the inputs of all modules that its final stage quantizes,
    /// under scales found as the model runs.
    public init(_ recipe: QuantizationRecipe, of configuration: ModelConfiguration) {
        self.init()
        guard let format = recipe.activations else { return }
        for layer in 0..<configuration.layerCount {
            for module in configuration.linearModules {
                let name = module.name(layer: layer)
                guard recipe.format(forModule: name, progress: 1) != nil else { continue }
                inputs[name] = Input(format: format)
            }
        }
    }

    /// Nothing is rounded.
    public static let none = ActivationQuantization()

    /// The formats of inputs in one word, as in `mxfp4` or `mxfp4+mxfp8`; `none` where there are none.
    public var inputFormatName: String {
        let names = Set(inputs.values.map(\.format.name))
        return names.isEmpty
            ? QuantizationFormat.unquantizedName : names.sorted().joined(separator: "+")
    }

    /// A format of keys and values; raw values are the words of results.
    public enum CacheFormat: String, Sendable, Encodable {
        /// As they are.
        case none
        /// E4M3 under an FP32 scale per layer.
        case fp8
    }

    /// The format of keys and values.
    public var cacheFormat: CacheFormat {
        keyScales.isEmpty && valueScales.isEmpty ? .none : .fp8
    }

    /// Checks that modules, formats and scales are those of a model.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`).
    func check(_ configuration: ModelConfiguration) throws {
        let layers = configuration.layerCount
        var widths = [ParameterLayout.headModule: configuration.hiddenSize]
        for layer in 0..<layers {
            for module in configuration.linearModules {
                widths[module.name(layer: layer)] = module.inputWidth(configuration)
            }
        }
        for (name, input) in inputs.sorted(by: { $0.key < $1.key }) {
            guard let width = widths[name] else {
                throw TransformerError(.invalidRecipe, "\(name) is no linear module of the model")
            }
            let format = input.format
            guard !format.scaleKind.hasBlocks || width.isMultiple(of: format.blockSize) else {
                throw TransformerError(
                    .invalidRecipe,
                    "\(name): \(width) inputs do not divide into \(format.name)'s blocks of "
                        + "\(format.blockSize)"
                )
            }
        }
        let scales = keyScales + valueScales + inputs.values.compactMap(\.scale)
        guard keyScales.count == valueScales.count, [0, layers].contains(keyScales.count),
            scales.allSatisfy({ $0 > 0 && $0.isFinite })
        else {
            throw TransformerError(
                .invalidRecipe,
                """
                \(keyScales.count) scales of keys and \(valueScales.count) of values for \(layers) \
                layers, or a scale of inputs, keys or values that is no positive number
                """
            )
        }
    }
}
