public import JobSpecs
public import Quantization
public import Transformer

/// Turns a job's `quantization` section into a recipe and a method.
public enum RecipeTranslation {
    /// The recipe of a section.
    ///
    /// - Throws: `QuantizationError` for a pattern that does not parse.
    public static func recipe(_ options: QuantizationOptions) throws -> QuantizationRecipe {
        for rule in options.layers {
            try ModulePattern(rule.pattern).validate()
        }
        return QuantizationRecipe(
            defaultFormat: format(options.format, options.blockSize, options),
            rules: options.layers.map {
                .init(pattern: $0.pattern, format: format($0.format, $0.blockSize, options))
            },
            activations: format(
                options.activations,
                options.activations == options.format
                    ? options.blockSize : options.activations.usualBlockSize,
                options
            ),
            straightThrough: options.straightThrough == .clip ? .clip : .identity,
            stages: options.stages.map {
                .init(until: $0.until, format: format($0.format, $0.blockSize, options))
            }
        )
    }

    /// The formats that a job chooses from by layer; empty if it does not choose.
    public static func candidates(_ options: QuantizationOptions) -> [QuantizationFormat] {
        let names = options.postTraining?.mixedPrecision?.candidates ?? []
        return names.compactMap { name in
            format(name, name == options.format ? options.blockSize : name.usualBlockSize, options)
        }
    }

    /// The method by which a job rounds after training.
    public static func method(_ options: PostTrainingOptions) -> PostTrainingMethod {
        let search = search(options)
        let usesGPTQ = options.rounding.map { $0 == .gptq } ?? (options.method == .gptq)
        let smoothing: PostTrainingMethod.Smoothing =
            switch options.method {
            case .awq: .activationAware
            case .smoothquant: .smoothQuant(migration: options.migration)
            case .max, .percentile, .mse, .sweep, .gptq: .none
            }
        guard usesGPTQ else {
            return PostTrainingMethod(rounding: .nearest(search), smoothing: smoothing)
        }
        let gptq = GPTQ(
            damping: options.damping,
            usesActivationOrder: options.usesActivationOrder,
            search: search
        )
        return PostTrainingMethod(rounding: .gptq(gptq), smoothing: smoothing)
    }

    private static func search(_ options: PostTrainingOptions) -> ScaleSearch {
        let own: PostTrainingOptions.ScaleSearch =
            switch options.method {
            case .max, .smoothquant: .max
            case .percentile: .percentile
            case .sweep: .sweep
            case .mse, .gptq, .awq: .mse
            }
        return switch options.scaleSearch ?? own {
        case .max: .max
        case .percentile: .percentile(options.percentile)
        case .mse: .mse
        case .sweep: .sweep
        }
    }

    private static func format(
        _ name: FormatName,
        _ blockSize: Int,
        _ options: QuantizationOptions
    ) -> QuantizationFormat? {
        let name = options.usesBlockScales ? name : name.perTensor
        guard let named = QuantizationFormat(algorithm: name.rawValue) else {
            return nil
        }
        return QuantizationFormat(
            element: named.element,
            blockSize: blockSize,
            scaleKind: named.scaleKind,
            scaleMode: ScaleMode(rawValue: options.scaleMode.rawValue) ?? named.scaleMode,
            tieRule: TieRule(rawValue: options.tieRule.rawValue) ?? named.tieRule
        )
    }
}
