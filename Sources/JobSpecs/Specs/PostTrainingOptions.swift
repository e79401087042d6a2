public import Formats

/// How a job rounds a trained model.
public struct PostTrainingOptions: Sendable, Equatable {
    /// The method as a whole; the members below say otherwise in parts.
    public typealias Method = PostTrainingMethod.Name
    /// What is rotated before.
    public typealias Rotation = PostTrainingMethod.Rotation

    /// A choice of formats by layer within a budget.
    public struct MixedPrecision: Sendable, Equatable {
        /// Stored bits per weight, block scales included.
        public var effectiveBits: Double
        /// The formats to choose from, cheapest first.
        public var candidates: [QuantizationFormat]
        /// How costs are measured.
        public var sensitivity: SensitivityMeasure
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
    /// What the section says of how codes are found, where it is not the method's own.
    let namedRounding: PostTrainingMethod.Rounding.Name?
    /// How weights are rounded by it, what the section says in parts included.
    public var rounding: PostTrainingMethod
    /// What is rotated before.
    public var rotation: Rotation
    /// Formats by layer within a budget; nil for those of the rules.
    public var mixedPrecision: MixedPrecision?
    /// How scales of keys and values are found.
    public var cacheScales: CacheScales

    init(_ reader: ObjectReader, formats: FormatReader) {
        method = reader.choice("method")
        namedRounding = reader.optionalChoice("rounding")
        rounding = Self.rounding(method, reader)
        rotation = reader.choice("rotation")
        cacheScales =
            reader.optionalChoice("kv_cache")
            ?? (reader.boolean("enable_kv_cache") ? .fp8 : .none)
        let named = reader.texts("candidates").compactMap(formats.candidate)
        let sensitivity: SensitivityMeasure = reader.choice("sensitivity")
        mixedPrecision = reader.optionalNumber("effective_bits").map { bits in
            MixedPrecision(
                effectiveBits: bits,
                candidates: named.isEmpty ? formats.usualCandidates : named,
                sensitivity: sensitivity
            )
        }
    }

    private static func rounding(_ method: Method, _ reader: ObjectReader) -> PostTrainingMethod {
        let searchOfMethod: ScaleSearch.Name =
            switch method {
            case .max, .smoothquant: .max
            case .percentile: .percentile
            case .sweep: .sweep
            case .mse, .gptq, .autoround, .awq: .mse
            }
        let search = ScaleSearch(
            reader.optionalChoice("scale_search") ?? searchOfMethod,
            percentile: reader.number("percentile")
        )
        let smoothing: PostTrainingMethod.Smoothing =
            switch method {
            case .awq: .activationAware
            case .smoothquant: .smoothQuant(migration: reader.number("migration"))
            case .max, .percentile, .mse, .sweep, .gptq, .autoround: .none
            }
        let roundingOfMethod: PostTrainingMethod.Rounding.Name =
            switch method {
            case .gptq: .gptq
            case .autoround: .autoround
            case .max, .percentile, .mse, .sweep, .awq, .smoothquant: .nearest
            }
        switch reader.optionalChoice("rounding") ?? roundingOfMethod {
        case .nearest: return PostTrainingMethod(rounding: .nearest(search), smoothing: smoothing)
        case .autoround:
            let learned = LearnedRounding(
                iterations: reader.integer("iterations"),
                windows: reader.integer("iteration_windows"),
                search: search
            )
            return PostTrainingMethod(rounding: .learned(learned), smoothing: smoothing)
        case .gptq:
            let gptq = GPTQ(
                damping: reader.number("damping"),
                usesActivationOrder: reader.boolean("activation_order"),
                search: search
            )
            return PostTrainingMethod(rounding: .gptq(gptq), smoothing: smoothing)
        }
    }

    /// Why the job cannot do without calibration text; nil if it can.
    var needOfCalibration: String? {
        if [.gptq, .autoround].contains(method) || method.scalesChannels {
            return "method \(method.rawValue)"
        }
        if case .gptq = rounding.rounding { return "rounding gptq" }
        if rounding.learned != nil { return "rounding autoround" }
        if mixedPrecision != nil { return "effective_bits" }
        return cacheScales == .fp8 ? "kv_cache fp8 (fp8_cast does without)" : nil
    }
}
