/// How a job rounds a trained model.
public struct PostTrainingOptions: Sendable, Equatable {
    /// The method as a whole; the members below say otherwise in parts.
    public enum Method: String, Sendable, CaseIterable {
        /// Scales from the largest magnitude, codes to nearest.
        case max
        /// As max, outliers above a percentile saturating.
        case percentile
        /// Scales by least squared error.
        case mse
        /// The same over every E4M3 scale there is.
        case sweep
        /// Column by column, errors made good by later columns.
        case gptq
        /// Channels scaled by what their inputs matter.
        case awq
        /// Outliers of inputs moved into weights.
        case smoothquant
    }

    /// How block scales are found.
    public enum ScaleSearch: String, Sendable, CaseIterable {
        /// From the largest magnitude.
        case max
        /// From a percentile of the magnitudes.
        case percentile
        /// By least squared error among neighbours.
        case mse
        /// By least squared error among all E4M3 scales.
        case sweep
    }

    /// How codes are found.
    public enum Rounding: String, Sendable, CaseIterable {
        /// The nearest ones.
        case nearest
        /// GPTQ.
        case gptq
    }

    /// What is rotated before.
    public enum Rotation: String, Sendable, CaseIterable {
        /// Nothing.
        case none
        /// The residual stream and attention values, by Hadamard blocks.
        case hadamard
    }

    /// How the cost of a format to a layer is measured.
    public enum Sensitivity: String, Sendable, CaseIterable {
        /// By the layer's outputs.
        case outputError = "output_error"
        /// By the model's next-token distributions.
        case divergence = "kl"
    }

    /// A choice of formats by layer within a budget.
    public struct MixedPrecision: Sendable, Equatable {
        /// Stored bits per weight, block scales included.
        public var effectiveBits: Double
        /// The formats to choose from, cheapest first.
        public var candidates: [FormatName]
        /// How costs are measured.
        public var sensitivity: Sensitivity
    }

    /// How scales of keys and values are found.
    public enum CacheScales: String, Sendable, CaseIterable {
        /// None are written.
        case none
        /// FP8, from the largest magnitudes on the calibration text.
        case fp8
        /// FP8 under the scale 1.
        case fp8Cast = "fp8_cast"
    }

    /// The method.
    public var method: Method
    /// How block scales are found; nil as the method has it.
    public var scaleSearch: ScaleSearch?
    /// How codes are found; nil as the method has it.
    public var rounding: Rounding?
    /// The percentile, in (0, 100].
    public var percentile: Double
    /// GPTQ's share of the mean diagonal that is added to it.
    public var damping: Double
    /// Whether GPTQ takes columns in order of falling input strength.
    public var usesActivationOrder: Bool
    /// SmoothQuant's exponent.
    public var migration: Double
    /// What is rotated before.
    public var rotation: Rotation
    /// Formats by layer within a budget; nil for those of the rules.
    public var mixedPrecision: MixedPrecision?
    /// How scales of keys and values are found.
    public var cacheScales: CacheScales

    init(_ reader: ObjectReader, format: FormatName) {
        method = reader.choice("method")
        scaleSearch = reader.optionalText("scale_search").flatMap(ScaleSearch.init)
        rounding = reader.optionalText("rounding").flatMap(Rounding.init)
        percentile = reader.number("percentile")
        damping = reader.number("damping")
        usesActivationOrder = reader.boolean("activation_order")
        migration = reader.number("migration")
        rotation = reader.choice("rotation")
        cacheScales =
            reader.optionalText("kv_cache").flatMap(CacheScales.init)
            ?? (reader.boolean("enable_kv_cache") ? .fp8 : .none)
        let named = reader.texts("candidates").compactMap(FormatName.init(algorithm:))
        let sensitivity: Sensitivity = reader.choice("sensitivity")
        mixedPrecision = reader.optionalNumber("effective_bits").map { bits in
            MixedPrecision(
                effectiveBits: bits,
                candidates: named.isEmpty ? Self.usualCandidates(format) : named,
                sensitivity: sensitivity
            )
        }
    }

    /// The job's format and wider ones.
    private static func usualCandidates(_ format: FormatName) -> [FormatName] {
        let wider = ["mxfp6_e2m3", "mxfp8"].compactMap(FormatName.init(algorithm:))
        return [format] + wider.filter { $0 != format }
    }

    /// Why the job cannot do without calibration text; nil if it can.
    var needOfCalibration: String? {
        if [.gptq, .awq, .smoothquant].contains(method) { return "method \(method.rawValue)" }
        if rounding == .gptq { return "rounding gptq" }
        if mixedPrecision != nil { return "effective_bits" }
        return cacheScales == .fp8 ? "kv_cache fp8 (fp8_cast does without)" : nil
    }
}
