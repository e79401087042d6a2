public import Formats

/// The `quantization` section of a job: what is rounded, to what, and when.
public struct QuantizationOptions: Sendable, Equatable {
    /// What is rounded, to what, and when; stages and the estimator belong to training only.
    public var recipe: QuantizationRecipe
    /// Formats without blocks beside which `scaling_granularity` stands, by place in the section.
    let granularitiesWithoutBlocks: [String: QuantizationFormat]
    /// Whether keys and values are quantized.
    public var quantizesKeyValueCache: Bool
    /// The formats that a training is for, as they are named; nil for `none`, empty where it is for one.
    let namedFormats: [QuantizationFormat?]
    /// What the section itself calls its format; nil for `none`, and where it does not.
    let namedAlgorithm: QuantizationFormat?
    /// Whether it does.
    let namesAlgorithm: Bool
    /// Whether every block has its own scale; otherwise every tensor has one.
    public var usesBlockScales: Bool
    /// How block scales are chosen, of the formats that it is meant for.
    public var scaleMode: ScaleMode
    /// Calibration samples.
    public var calibrationSize: Int
    /// How a trained model is rounded; of a training job, its method only.
    public var postTraining: PostTrainingOptions?
    /// The method that is asked for.
    public var method: PostTrainingOptions.Method
    /// The weight of the damping loss at the run's end; 0 without one, and of other jobs.
    public var damping: Double
    /// How often a weight may flip before it is frozen; nil for ever, and of other jobs.
    public var flipThreshold: Double?
    /// The latest step's share in the running mean of flips.
    public var flipMomentum: Double
    /// Whether ``progressive`` stands for the stages.
    let isProgressive: Bool
    /// Whether a bias is trained on the output of every quantized layer that can have one.
    public var correctsOutputs: Bool
    /// Whether there is a schedule, of whatever stages.
    let namesSchedule: Bool
    /// Whether the section says where scales come from.
    let namesScales: Bool
    /// Whether something shall be done against flips.
    let namesOscillation: Bool

    /// The word for the usual schedule.
    static let progressive = "progressive"
    /// How a training step rounds weights.
    public var rounding: TrainingRounding
    /// Where the scales of weights in training come from.
    public var scales: ScaleSource
    /// How those that stay, or are learned, are found before the first step.
    public var scaleSearch: ScaleSearch
    /// The peak rate of learned scales.
    public var scaleLearningRate: Double

    /// Where the scales of inputs in training come from.
    public var inputScales: InputScaleSource
    /// The peak rate of learned thresholds of inputs, relative to the calibrated ones.
    public var clipLearningRate: Double
    /// The weight of their squares, likewise relative, in the loss.
    public var clipRegularization: Double

    init(_ reader: ObjectReader, isTraining: Bool) {
        let formats = FormatReader(reader)
        recipe = QuantizationRecipe(
            defaultFormat: formats.section,
            rules: reader.objects("layers").map {
                .init(pattern: $0.pattern("pattern"), format: formats.rule($0))
            },
            activations: formats.activations,
            straightThrough: isTraining ? reader.choice("ste") : .identity,
            stages: isTraining ? formats.stages(reader) : [],
            alternation: formats.alternation
        )
        namedFormats = formats.namedAlternation
        namesAlgorithm = reader.contains("algorithm")
        namedAlgorithm = namesAlgorithm ? reader.format("algorithm") : nil
        let oscillation = isTraining ? reader.object("oscillation") : nil
        damping = oscillation?.optionalNumber("dampen") ?? 0
        flipThreshold = oscillation?.optionalNumber("freeze")
        flipMomentum = oscillation?.number("flip_momentum") ?? 0
        namesOscillation = isTraining && reader.contains("oscillation")
        correctsOutputs = isTraining && reader.boolean("output_correction")
        namesSchedule = isTraining && reader.contains("schedule")
        namesScales = isTraining && reader.contains("scales")
        isProgressive = isTraining && reader.optionalText("schedule") == Self.progressive
        quantizesKeyValueCache = reader.boolean("enable_kv_cache")
        usesBlockScales = formats.usesBlockScales
        scaleMode = formats.scaleMode
        calibrationSize = reader.integer("calibration_size")
        method = reader.choice("method")
        let search = ScaleSearch.Name(rawValue: method.rawValue) ?? .max
        scaleSearch = ScaleSearch(search, percentile: reader.number("percentile"))
        let usual: ScaleSource = scaleSearch == .max ? .followed : .kept
        scales = isTraining ? reader.optionalChoice("scales") ?? usual : .followed
        rounding = isTraining ? reader.choice("rounding") : .nearest
        inputScales = isTraining ? reader.choice("activation_scales") : .dynamic
        clipLearningRate = isTraining ? reader.number("clip_lr") : 0
        clipRegularization = isTraining ? reader.number("clip_decay") : 0
        scaleLearningRate = isTraining ? reader.number("scale_lr") : 0
        let places =
            [("", reader)]
            + reader.objects("layers").enumerated().map {
                (".layers[\($0)]", $1)
            }
        let alternation = formats.namedAlternation
        granularitiesWithoutBlocks = places.reduce(into: [:]) { found, place in
            let isForSeveral = place.0.isEmpty && !alternation.isEmpty
            let named =
                (isForSeveral ? alternation : [place.1.format("algorithm")]).compactMap(\.self)
            if let format = named.first, !named.contains(where: \.scaleKind.hasBlocks),
                place.1.contains("scaling_granularity")
            {
                found[place.0] = format
            }
        }
        postTraining = isTraining ? nil : PostTrainingOptions(reader, formats: formats)
    }
}

/// The formats that a `quantization` section names, with its block sizes and rounding rules.
struct FormatReader {
    private let named: QuantizationFormat?
    /// The formats that a training is for, in order; nil for `none`, empty where it is for one.
    let namedAlternation: [QuantizationFormat?]
    private let namedActivations: QuantizationFormat?
    private let granularity: Int?
    /// How block scales are chosen, of the formats that it is meant for.
    let scaleMode: ScaleMode
    private let tieRule: TieRule
    /// Whether every block has its own scale; otherwise every tensor has one.
    let usesBlockScales: Bool

    init(_ section: ObjectReader) {
        namedAlternation = section.texts("formats").map(ObjectReader.format)
        named =
            namedAlternation.isEmpty ? section.format("algorithm") : namedAlternation[0]
        namedActivations = section.format("activations")
        granularity = section.optionalInteger("scaling_granularity")
        scaleMode = section.choice("scale_mode")
        tieRule = section.choice("tie_rule")
        usesBlockScales = section.boolean("enable_micro_tensor_scaling")
    }

    /// The section's own format, or the first of several.
    var section: QuantizationFormat? {
        namedAlternation.isEmpty ? complete(named, granularity) : inheriting(named)
    }

    /// The formats that a training is for, by the section's blocks, but two-level scales keep their own.
    var alternation: [QuantizationFormat] { namedAlternation.compactMap { inheriting($0) } }

    /// A format under the section's rules, of its blocks or of `blockSize`; two-level scales keep theirs.
    private func inheriting(
        _ format: QuantizationFormat?,
        _ blockSize: Int? = nil
    ) -> QuantizationFormat? {
        let inherited = format?.scaleKind == .e4m3TwoLevel ? nil : granularity
        return complete(format, blockSize ?? inherited)
    }

    /// The format of layers' inputs: by the section's blocks if it is the section's format, or one of them.
    var activations: QuantizationFormat? {
        var format =
            namedAlternation.contains(namedActivations)
            ? inheriting(namedActivations)
            : complete(namedActivations, namedActivations == named ? granularity : nil)
        // Servers scale inputs as they come, each block's largest to 6.
        if format?.picksFourOrSix == true { format?.scaleMode = .floor }
        return format
    }

    /// The format of a rule or a stage.
    ///
    /// Its block size, where it gives none, is its section's, but two-level scales keep their own.
    func rule(_ reader: ObjectReader) -> QuantizationFormat? {
        inheriting(
            reader.format("algorithm"),
            reader.optionalInteger("scaling_granularity")
        )
    }

    /// The stages of a training's section.
    func stages(_ reader: ObjectReader) -> [QuantizationRecipe.Stage] {
        guard reader.optionalText("schedule") == QuantizationOptions.progressive else {
            return reader.object("schedule").objects("stages").map {
                .init(until: $0.number("until"), format: rule($0))
            }
        }
        let usual: [(Double, QuantizationFormat)] = [(0.3, .mxfp8), (0.7, .mxfp6E2M3)]
        let earlier = usual.compactMap { until, format -> QuantizationRecipe.Stage? in
            let format = complete(format, granularity)
            return format != section && QuantizationFormat.morePrecise(format, section) == format
                ? .init(until: until, format: format) : nil
        }
        return earlier.isEmpty ? [] : earlier + [.init(until: 1, format: section)]
    }

    /// A format to choose from by layer.
    func candidate(_ name: String) -> QuantizationFormat? {
        candidate(QuantizationFormat(algorithm: name))
    }

    /// The section's format and wider ones.
    var usualCandidates: [QuantizationFormat] {
        let wider = [QuantizationFormat.mxfp6E2M3, .mxfp8].filter { $0 != named }
        return ([named] + wider).compactMap(candidate)
    }

    private func candidate(_ format: QuantizationFormat?) -> QuantizationFormat? {
        complete(format, format == named ? granularity : nil)
    }

    /// A named format by `blockSize`, if that is given, under the section's rules.
    private func complete(
        _ format: QuantizationFormat?,
        _ blockSize: Int?
    ) -> QuantizationFormat? {
        format.map {
            var format = QuantizationFormat(
                element: $0.element,
                blockSize: blockSize,
                scaleKind: usesBlockScales ? $0.scaleKind : .perTensor,
                scaleMode: scaleMode,
                tieRule: tieRule
            )
            // Of the formats of a section it is nvfp4's alone; others have their default.
            if scaleMode == .fourOverSix, !format.picksFourOrSix { format.scaleMode = .floor }
            return format
        }
    }
}

extension ObjectReader {
    /// The format a validated word names; nil of `none`.
    func format(_ key: String) -> QuantizationFormat? { Self.format(text(key)) }

    /// The same of the word itself.
    static func format(_ word: String) -> QuantizationFormat? {
        do {
            return try QuantizationFormat.named(word)
        } catch {
            preconditionFailure("the schema lets \(word) pass: \(error)")
        }
    }

    /// A validated pattern.
    func pattern(_ key: String) -> ModulePattern {
        Self.pattern(text(key), key)
    }

    /// Validated patterns.
    func patterns(_ key: String) -> [ModulePattern] {
        texts(key).map { Self.pattern($0, key) }
    }

    private static func pattern(_ text: String, _ key: String) -> ModulePattern {
        do {
            return try ModulePattern(parsing: text)
        } catch {
            preconditionFailure("the schema lets \(key) pass: \(error)")
        }
    }
}
