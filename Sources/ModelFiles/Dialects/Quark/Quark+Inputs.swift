internal import Formats

/// What Quark says of the inputs of a scheme's modules: `input_tensors`.
///
/// - SeeAlso: vLLM, `model_executor/layers/quantization/quark/quark.py`.
extension Quark {
    /// Quark's words for the choice of power-of-two scales.
    private enum ScaleCalculation: String, CaseIterable {
        case floor
        case even
        case ceil
        /// Not Quark's, but earlier files of this suite have it.
        case rceil

        var mode: ScaleMode {
            switch self {
            case .floor: .floor
            case .even: .even
            case .ceil: .ceil
            case .rceil: .rceil
            }
        }
    }

    /// The word for a format's choice of scales: the nearest where Quark has none.
    static func scaleCalculation(of mode: ScaleMode) -> String {
        let word: ScaleCalculation =
            switch mode {
            // Quark's files have powers of two alone.
            case .floor, .fourOverSix: .floor
            // vLLM rounds inputs so whatever stands here.
            case .even, .evenCT, .rceil: .even
            case .ceil: .ceil
            }
        return word.rawValue
    }

    /// How inputs are rounded.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if a word is none of Quark's.
    static func inputs(_ tensor: JSONObject) throws(ModelFileError) -> InputScheme {
        let type = try tensor.text("dtype") ?? "no dtype"
        let granularity = try tensor.text("qscheme") ?? "no qscheme"
        let size = try tensor.integer("group_size")
        let isDynamic = try tensor.flag("is_dynamic") ?? false
        let calculation: ScaleCalculation? = try tensor.word("scale_calculation_mode")
        let isSymmetric = try tensor.flag("symmetric") ?? true
        let unknown = InputScheme.unknown(
            """
            input_tensors are \(isSymmetric ? "" : "asymmetric ")\
            \(isDynamic ? "dynamic" : "static") \(type) \(granularity)\
            \(size.map { " of \($0)" } ?? ""), which is not computed here
            """
        )
        guard isSymmetric,
            let row = rows.first(where: { row in
                let isPerToken = row.granularity == "per_channel" && granularity == "per_token"
                return row.type == type && (row.granularity == granularity || isPerToken)
                    && (row.groupSize == nil || row.groupSize == size)
            })
        else { return unknown }
        var format = row.format
        if format.scaleKind == .e8m0 { format.scaleMode = (calculation ?? .even).mode }
        if isDynamic { return .dynamic(format) }
        // Of whole tensors alone is a scale stored.
        guard format.scaleKind == .perTensor else { return unknown }
        return .stored(format, suffix: ".input_scale", isReciprocal: false)
    }
}
