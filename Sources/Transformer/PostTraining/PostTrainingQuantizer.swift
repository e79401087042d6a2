internal import Devices
public import Formats
public import Kernels
public import Quantization

/// Rounds a model's weights after training, in place.
public struct PostTrainingQuantizer {
    /// One rounded weight.
    public struct Result: Sendable {
        /// The parameter.
        public let entry: ParameterLayout.Entry
        /// What is stored.
        public let packed: PackedTensor
        /// What rounding did to it.
        public let statistics: QuantizationStatistics
    }

    /// Who is told how rounding goes; each may throw to stop it.
    public struct Listener {
        /// Called again and again, at least once per calibration window and layer.
        public var checkpoint: () throws -> Void
        /// Told how many steps of learned rounding are done, of how many.
        public var onStep: (Int, Int) throws -> Void
        /// Told what learning did to each layer.
        public var onLearned: (LearnedLayer) throws -> Void
        /// Told each rounded weight, and how many there are.
        public var onResult: (Result, Int) throws -> Void

        /// A listener to what is given.
        public init(
            checkpoint: @escaping () throws -> Void = {},
            onStep: @escaping (Int, Int) throws -> Void = { _, _ in },
            onLearned: @escaping (LearnedLayer) throws -> Void = { _ in },
            onResult: @escaping (Result, Int) throws -> Void = { _, _ in }
        ) {
            self.checkpoint = checkpoint
            self.onStep = onStep
            self.onLearned = onLearned
            self.onResult = onResult
        }
    }

    private let recipe: QuantizationRecipe
    private let method: PostTrainingMethod
    private let seed: UInt64
    private let team: ThreadTeam

    /// A quantizer to a recipe's final formats.
    ///
    /// `seed`: Of what learned rounding draws.
    public init(
        recipe: QuantizationRecipe,
        method: PostTrainingMethod,
        seed: UInt64 = 0,
        team: ThreadTeam
    ) {
        self.recipe = recipe
        self.method = method
        self.seed = seed
        self.team = team
    }

    /// Rounds in place; with calibration text, layer by layer, each on what the rounded layers
    /// before it put out.
    ///
    /// - Returns: The ranges of activations, if there is calibration text.
    /// - Throws: ``TransformerError`` (`invalidRecipe` for what does not fit or lacks calibration,
    ///   `invalidTokens` for text of another vocabulary, `nonFinite`), `QuantizationError` for weights and
    ///   moments that are not finite, and what the listener throws.
    public func quantize(
        _ parameters: Parameters,
        calibration: CalibrationWindows?,
        listener: Listener
    ) throws -> ActivationRanges? {
        try quantize(
            LayerResidence(whole: parameters),
            calibration: calibration,
            listener: listener
        )
    }

    /// The same of a model that may be in memory in parts; what is rounded is stored by the model.
    ///
    /// - Throws: As before, and what reading throws.
    public func quantize(
        _ model: LayerResidence,
        calibration: CalibrationWindows?,
        listener: Listener
    ) throws -> ActivationRanges? {
        let parameters = model.parameters
        let entries = try parameters.quantizedEntries(of: recipe, progress: 1)
        let rounding = WeightByWeight(
            parameters: parameters,
            formats: Dictionary(uniqueKeysWithValues: entries.map { ($0.0.name, $0.1) }),
            method: method,
            team: team
        )
        var left = Set(entries.map(\.0.name))
        func report(_ results: [Result]) throws {
            for result in results {
                left.remove(result.entry.name)
                model.store(result.packed, of: result.entry)
                try listener.onResult(result, entries.count)
            }
        }
        var ranges: ActivationRanges?
        if let calibration {
            try calibration.requireVocabulary(of: parameters.configuration)
            ranges = try roundOnText(model, rounding, calibration, listener, report)
        } else if method.needsCalibration {
            throw TransformerError(.invalidRecipe, "this method needs calibration text")
        } else {
            for layer in 0..<parameters.configuration.layerCount {
                try model.with(layer: layer) {
                    for group in parameters.configuration.inputGroups {
                        try report(try rounding.round(group, layer: layer, inputs: nil))
                    }
                }
            }
        }
        // What has no observed input: the embedding and the head.
        for (entry, _) in entries where left.contains(entry.name) {
            try model.with(entry) { _ in
                try report([try rounding.round(entry, amax: nil, inputs: nil)])
            }
        }
        return ranges
    }

    /// The same for who wants the rounded weights alone.
    public func quantize(
        _ parameters: Parameters,
        calibration: CalibrationWindows?,
        onResult: (Result, Int) throws -> Void
    ) throws -> ActivationRanges? {
        try withoutActuallyEscaping(onResult) { onResult in
            try quantize(
                parameters,
                calibration: calibration,
                listener: Listener(onResult: onResult)
            )
        }
    }

    /// Rounds the layers' weights, each layer on what comes into it.
    private func roundOnText(
        _ model: LayerResidence,
        _ rounding: WeightByWeight,
        _ calibration: CalibrationWindows,
        _ listener: Listener,
        _ report: ([Result]) throws -> Void
    ) throws -> ActivationRanges {
        let parameters = rounding.parameters
        let device = CPUDevice(team: team)
        // What is learned makes up for rounded inputs, too.
        let activations =
            method.learned == nil
            ? ActivationQuantization.none
            : ActivationQuantization(recipe, of: parameters.configuration)
        let (pass, learner) = try model.with(parameters.layout.embedding) { _ in
            let pass = try LayerwisePass(
                parameters: parameters,
                windows: calibration,
                activations: activations,
                device: device,
                onWindow: listener.checkpoint
            )
            let learner = try method.learned.map { learned in
                try LayerLearner(
                    rounding: rounding,
                    learning: learned,
                    recipe: recipe,
                    windows: calibration,
                    seed: seed,
                    listener: listener
                )
            }
            return (pass, learner)
        }
        for layer in 0..<parameters.configuration.layerCount {
            try model.with(layer: layer) {
                try learner?.advance(layer: layer)
                let inputs = method.usesMoments ? try pass.observe(layer: layer) : [:]
                if method.smoothing != .none {
                    try smooth(layer, parameters, rounding.formats, inputs)
                }
                if let learner {
                    try report(
                        try learner.round(layer: layer, inputs: inputs, arriving: pass.hidden)
                    )
                } else {
                    for group in parameters.configuration.inputGroups {
                        try report(try rounding.round(group, layer: layer, inputs: inputs[group]))
                    }
                }
                try pass.advance(layer: layer)
                // Scaled channels change weights that are not rounded, too.
                guard method.smoothing != .none else { return }
                for entry in model.weights(ofLayer: layer) { model.keep(entry) }
            }
        }
        return pass.ranges
    }

    private func smooth(
        _ layer: Int,
        _ parameters: Parameters,
        _ formats: [String: QuantizationFormat],
        _ inputs: [LinearModule: LayerwisePass.Inputs]
    ) throws {
        let smoothing = ChannelSmoothing(parameters: parameters, layer: layer, team: team)
        for group in parameters.configuration.inputGroups {
            guard smoothing.isPossible(group), let inputs = inputs[group],
                let format = formats[group.name(layer: layer) + ".weight"]
            else { continue }
            let scales =
                switch method.smoothing {
                case .none: [Float]()
                case .activationAware:
                    try smoothing.activationAwareScales(
                        group,
                        format: format,
                        search: method.search,
                        inputs: inputs
                    )
                case .smoothQuant(let migration):
                    smoothing.smoothQuantScales(group, inputs: inputs, migration: migration)
                }
            smoothing.fold(scales, into: group, inputs: inputs)
        }
    }
}
