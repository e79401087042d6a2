internal import ComputeKit
internal import Formats
internal import Quantization
internal import ServiceKit
internal import Transformer

/// What a training job answers.
struct TrainingResults: Encodable, Sendable {
    /// Validation perplexity of the model as it came.
    @NullIfNone var baselinePerplexity: Double?
    /// The same, rounded without training.
    @NullIfNone var ptqPerplexity: Double?
    /// The same of the weights that training started from, where the job names any.
    @NullIfNone var startPerplexity: Double?
    /// The same of what was exported, read back from `model/`: an evaluation of it on the same windows
    /// finds the same.
    var qatPerplexity: Double
    /// The share of PTQ's loss that training won back; see ``recovered(baseline:ptq:qat:)``.
    @NullIfNone var recovered: Double?
    /// 95 % confidence interval of `baselinePerplexity`, over the windows that all four are of; nil of
    /// one window, and where an earlier version made the checkpoint that the job went on from.
    @NullIfNone var baselinePerplexityCi95: [Double]?
    /// The same of `ptqPerplexity`.
    @NullIfNone var ptqPerplexityCi95: [Double]?
    /// The same of `startPerplexity`.
    @NullIfNone var startPerplexityCi95: [Double]?
    /// 95 % confidence interval of `qatPerplexity`; nil of one window.
    @NullIfNone var qatPerplexityCi95: [Double]?
    /// The formats in which `model/` says that inputs are rounded, and `qatPerplexity` rounds them.
    var activations: String
    /// The format in which `model/` says that keys and values are kept, and `qatPerplexity` rounds them.
    var kvCache: String
    /// Steps taken.
    var steps: Int
    /// The step whose weights are exported, and `qatPerplexity` is of.
    var exportedStep: Int
    /// The step of the validation with the lowest loss; nil without validations between steps.
    @NullIfNone var bestStep: Int?
    /// Its perplexity in training; of a training for several formats their geometric mean.
    @NullIfNone var bestPerplexity: Double?
    /// Why the run took fewer steps than it might have; nil if it did not.
    @NullIfNone var endedEarly: String?
    /// What happened where the run diverged and went back; nil if it did not.
    @NullIfNone var rolledBack: String?
    /// Tokens trained on.
    var tokens: Int
    /// What was written, as `gguf in model-gguf/`.
    var exports: [String]
    /// The format of `model/`.
    var exportFormat: String
    /// Bytes of the exported tensors.
    var tensorBytes: Int
    /// Those bytes relative to all parameters in BF16.
    var memoryRatio: Double
    /// What a user should know.
    var warnings: [String]
    /// Each of the formats that the training was for, in the job's order; nil of a training for one.
    ///
    /// The members above are of the format of `model/`.
    var formats: [FormatResults]?

    /// The share of PTQ's loss in perplexity that training won back: 1 is all of it.
    ///
    /// Nil where PTQ lost less than half a percent, or nothing: the share of next to nothing is any
    /// number, 6594 % as well as none.
    static func recovered(baseline: Double?, ptq: Double?, qat: Double) -> Double? {
        guard let baseline, let ptq, ptq >= baseline * 1.005 else { return nil }
        return (ptq - qat) / (ptq - baseline)
    }
}

// MARK: What is measured before the first step

extension TrainingResults {
    /// A model that is measured before the first step; raw values are keys of a checkpoint's values.
    enum Earlier: String, CaseIterable {
        case baseline, ptq, start

        /// The perplexity among a run's records.
        var figure: RunFigure {
            switch self {
            case .baseline: .baselinePerplexity
            case .ptq: .ptqPerplexity
            case .start: .startPerplexity
            }
        }

        func key(in format: String?) -> String { rawValue + (format.map { "." + $0 } ?? "") }
    }

    /// Puts a measurement where checkpoints keep it: an attempt that resumes measures none again.
    ///
    /// `format`: The name of the format that the model is rounded to, of a training for several.
    static func keep(
        _ result: PerplexityResult,
        as model: Earlier,
        format: String? = nil,
        in values: inout [String: Double]
    ) {
        let key = model.key(in: format)
        values[key] = result.perplexity
        guard let ends = result.confidenceInterval, ends.count == 2 else { return }
        values[key + ".low"] = ends[0]
        values[key + ".high"] = ends[1]
    }

    /// The perplexities among a checkpoint's values; of a training for several formats those of one, or, without a
    /// format, of the model as it came.
    static func perplexities(in values: [String: Double], format: String?) -> [RunFigure: Double] {
        let found = Earlier.allCases.compactMap { model in
            values[model.key(in: format)].map { (model.figure, $0) }
        }
        return Dictionary(uniqueKeysWithValues: found)
    }

    /// Puts ranges of keys and values where checkpoints keep them.
    static func keep(_ cache: CacheRanges?, in values: inout [String: Double]) {
        guard let cache else { return }
        for (layer, (key, value)) in zip(cache.keys, cache.values).enumerated() {
            values["cache.key.\(layer)"] = Double(key)
            values["cache.value.\(layer)"] = Double(value)
        }
    }

    /// The ranges that are kept; nil if none are.
    static func cacheRanges(in values: [String: Double]) -> CacheRanges? {
        var (keys, held) = ([Float](), [Float]())
        while let key = values["cache.key.\(keys.count)"],
            let value = values["cache.value.\(keys.count)"]
        {
            keys.append(Float(key))
            held.append(Float(value))
        }
        return keys.isEmpty ? nil : CacheRanges(keys: keys, values: held)
    }

    private static let inputPrefix = "input."

    /// Puts calibrated ranges of inputs where checkpoints keep them.
    static func keep(_ inputs: InputRanges?, in values: inout [String: Double]) {
        for (module, amax) in inputs?.amax ?? [:] { values[inputPrefix + module] = Double(amax) }
    }

    /// The ranges that are kept; nil if none are.
    static func inputRanges(in values: [String: Double]) -> InputRanges? {
        var amax: [String: Float] = [:]
        for (key, value) in values where key.hasPrefix(inputPrefix) {
            amax[String(key.dropFirst(inputPrefix.count))] = Float(value)
        }
        return amax.isEmpty ? nil : InputRanges(amax: amax)
    }

    /// The 95 % confidence interval of a kept measurement, if it has one.
    static func interval(
        of model: Earlier,
        format: String? = nil,
        in values: [String: Double]
    ) -> [Double]? {
        let key = model.key(in: format)
        guard let low = values[key + ".low"], let high = values[key + ".high"] else { return nil }
        return [low, high]
    }
}
