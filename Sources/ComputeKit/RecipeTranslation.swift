public import JobSpecs
public import Quantization
internal import ServiceKit

/// Turns a job's `quantization` section into a recipe.
public enum RecipeTranslation {
    /// The recipe of a section.
    ///
    /// - Throws: ``ComputeFailure`` for a pattern that does not parse.
    public static func recipe(_ options: QuantizationOptions) throws -> QuantizationRecipe {
        for rule in options.layers {
            try JobFailure.translating { try ModulePattern(rule.pattern).validate() }
        }
        return QuantizationRecipe(
            defaultFormat: format(options.format, options.blockSize, options),
            rules: options.layers.map {
                .init(pattern: $0.pattern, format: format($0.format, $0.blockSize, options))
            },
            activations: format(options.activations, options.blockSize, options),
            straightThrough: options.straightThrough == .clip ? .clip : .identity,
            stages: options.stages.map {
                .init(until: $0.until, format: format($0.format, $0.blockSize, options))
            }
        )
    }

    private static func format(
        _ name: FormatName,
        _ blockSize: Int,
        _ options: QuantizationOptions
    ) -> QuantizationFormat? {
        guard var format = QuantizationFormat(algorithm: name.rawValue) else {
            return nil
        }
        // NVFP4's scale is one per 16 whatever the section's default; a rule may say 16 only.
        if format.scaleKind == .e8m0 {
            format.blockSize = blockSize
        }
        format.scaleMode = ScaleMode(rawValue: options.scaleMode.rawValue) ?? format.scaleMode
        format.tieRule = TieRule(rawValue: options.tieRule.rawValue) ?? format.tieRule
        return format
    }
}
