internal import Devices
public import Formats
public import Kernels

/// What a training holds in memory, before any of it is allocated.
public struct MemoryPlan: Sendable, Equatable {
    /// Memory of one purpose.
    public struct Part: Sendable, Equatable {
        /// What it holds, as in `gradients`.
        public let name: String
        /// Its size.
        public let byteCount: Int
    }

    /// The settings of a training that its memory depends on.
    public struct Training: Sendable {
        /// How weights and inputs are rounded.
        public var recipe: QuantizationRecipe
        /// What is learned from a teacher that runs beside the student; nil without one.
        public var distillation: Distillation?
        /// The teacher's shape, if it is not the model itself, unquantized.
        public var teacher: ModelConfiguration?
        /// Windows per micro-batch.
        public var batchSize: Int
        /// Tokens per window.
        public var length: Int
        /// Whether of each layer only its input is kept.
        public var checkpointsActivations: Bool
        /// What linear layers multiply.
        public var operands: OperandPrecision
        /// What the optimizer is.
        public var rule: OptimizerConfiguration.Rule
        /// What its moments are kept as.
        public var moments: MomentPrecision
        /// Whether a moving average of the weights is kept.
        public var averagesWeights: Bool
        /// Where the scales of weights come from.
        public var scales: ScaleSource
        /// Whether weights whose codes flip are found and frozen.
        public var freezesFlips: Bool
        /// The adapters that are trained in place of the weights; nil for none.
        public var adapters: AdapterConfiguration?
        /// Whether adapters are added to the model's weights as they came, which need no copy then.
        public var sharesBase: Bool
        /// Threads that compute.
        public var threads: Int

        /// Settings.
        public init(
            recipe: QuantizationRecipe,
            distillation: Distillation?,
            teacher: ModelConfiguration? = nil,
            batchSize: Int,
            length: Int,
            checkpointsActivations: Bool = false,
            operands: OperandPrecision = .float32,
            rule: OptimizerConfiguration.Rule = .adamW,
            moments: MomentPrecision = .float32,
            averagesWeights: Bool = false,
            scales: ScaleSource = .followed,
            adapters: AdapterConfiguration? = nil,
            sharesBase: Bool = false,
            freezesFlips: Bool = false,
            threads: Int
        ) {
            self.freezesFlips = freezesFlips
            self.adapters = adapters
            self.sharesBase = sharesBase
            self.scales = scales
            self.checkpointsActivations = checkpointsActivations
            self.rule = rule
            self.averagesWeights = averagesWeights
            self.moments = moments
            self.recipe = recipe
            self.distillation = distillation
            self.teacher = teacher
            self.batchSize = batchSize
            self.length = length
            self.operands = operands
            self.threads = threads
        }

        fileprivate var kept: KeptActivations {
            guard !checkpointsActivations else { return .inputs }
            return CPUDevice.activationType(operands: operands) == .bfloat16 ? .halves : .all
        }
    }

    /// The parts that are not empty, as they are listed.
    public internal(set) var parts: [Part]

    /// All of it.
    public var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }

    /// What training `model` takes: its weights as they came, the student's, and the engine's.
    ///
    /// Texts, the program itself and pages of mapped files come on top; some tens of megabytes.
    ///
    /// `isFrozen`: Which parameters, by name, take no gradient.
    public init(
        training model: ModelConfiguration,
        _ training: Training,
        isFrozen: (String) -> Bool
    ) {
        let layout = ParameterLayout(configuration: model)
        let rows = training.batchSize * training.length
        let weights = layout.totalCount
        let adapted = training.adapters?.targets(in: layout)
        let entries =
            adapted?.targets.flatMap { [$0.a, $0.b] }
            ?? layout.entries.filter { !isFrozen($0.name) }
        let trained = GradientArena.elementCount(entries)
        let moments = OptimizerState.byteCount(
            training.rule,
            training.moments,
            paddedCount: trained,
            counts: entries.map(\.count)
        )
        let teacher = training.distillation == nil ? nil : training.teacher ?? model
        let kept = training.kept
        let logits =
            Self.logits(model, rows: rows) * LossHead.logitTensorCount(model, training.distillation)
        let outcomes = training.distillation?.topCount.map {
            OutcomeExchange.elementCount(rows: rows, count: $0)
        }
        let comparesHidden = (training.distillation?.hiddenWeight ?? 0) > 0
        let elements: [(String, Int)] = [
            ("the model as it came", weights),
            ("the student's weights", weights),
            ("the teacher's weights", Self.weightCount(training.teacher)),
            ("what adapters are added to", adapted == nil || training.sharesBase ? 0 : weights),
            ("adapters", adapted?.count ?? 0),
            ("products of adapters", Self.products(training, adapted?.targets, rows: rows)),
            ("flips of codes", Self.flips(layout, training, isFrozen: isFrozen)),
            ("the weights' average", training.averagesWeights ? weights : 0),
            ("gradients", trained),
            ("moments", moments / MemoryLayout<Float>.stride),
            (
                "activations",
                ActivationArena.elementCount(model, rows: rows, keeping: kept)
                    + ActivationArena.halfCount(model, rows: rows, keeping: kept) / 2
                    + GradientBuffers.elementCount(model, rows: rows) + rows * model.hiddenSize
            ),
            (
                "the teacher's activations",
                teacher.map { ActivationArena.elementCount($0, rows: rows, keeping: .none) } ?? 0
            ),
            (
                "gradients of hidden states",
                comparesHidden ? Teacher.streamRows(model, rows: rows) * model.hiddenSize : 0
            ),
            ("the teacher's most likely tokens", outcomes ?? 0),
            ("the teacher cache's buffers", outcomes ?? 0),
            ("logits", logits),
            ("rounded weights", Self.rounded(model, training.recipe)),
            ("scales of weights", Self.scales(model, training, isFrozen: isFrozen)),
            ("weights in the form of products", Self.prepared(model, training)),
            (
                "the teacher's in that form",
                teacher.map { Self.prepared($0, training) } ?? 0
            ),
            ("attention and products", Self.scratch(model, training)),
            ("validation", Self.validation(model, training)),
        ]
        parts = elements.filter { $0.1 > 0 }
            .map { Part(name: $0.0, byteCount: $0.1 * MemoryLayout<Float>.stride) }
    }

    /// Words of scales that do not follow the weights, on the host and on the device.
    private static func scales(
        _ model: ModelConfiguration,
        _ training: Training,
        isFrozen: (String) -> Bool
    ) -> Int {
        guard training.scales != .followed else { return 0 }
        var bytes = 0
        var learned = 0
        for layer in 0..<model.layerCount {
            for module in model.linearModules {
                let name = module.name(layer: layer)
                guard let format = training.recipe.format(forModule: name, progress: 1) else {
                    continue
                }
                let rows = module.outputWidth(model)
                let blocks = format.blockScaleCount(rows: rows, columns: module.inputWidth(model))
                bytes += blocks + 4 * format.floatScaleCount(rows: rows)
                // Steps, their gradients, and two moments.
                if training.scales == .learned, !isFrozen("\(name).weight") {
                    learned += 4 * LearnedScales.padded(blocks)
                }
            }
        }
        return (2 * bytes + 3) / 4 + learned
    }

    private static func weightCount(_ model: ModelConfiguration?) -> Int {
        model.map { ParameterLayout(configuration: $0).totalCount } ?? 0
    }

    /// Words that are kept of weights whose codes may flip.
    private static func flips(
        _ layout: ParameterLayout,
        _ training: Training,
        isFrozen: (String) -> Bool
    ) -> Int {
        guard training.freezesFlips else { return 0 }
        let counts = layout.entries.filter { entry in
            layout.module(of: entry) != nil && !isFrozen(entry.name)
                && training.recipe.format(forModule: entry.module, progress: 1) != nil
        }.map(\.count)
        return FrozenCodes.byteCount(counts) / MemoryLayout<Float>.stride
    }

    /// Elements of what adapters' gradients pass through.
    private static func products(
        _ training: Training,
        _ targets: [AdapterConfiguration.Target]?,
        rows: Int
    ) -> Int {
        guard let targets, let rank = training.adapters?.rank else { return 0 }
        return Adapters.projectedCount(targets, rows: rows, rank: rank)
            + (training.recipe.straightThrough == .clip ? Adapters.wholeCount(targets) : 0)
    }

    private static func validation(_ model: ModelConfiguration, _ training: Training) -> Int {
        ActivationArena.elementCount(model, rows: training.length, keeping: .none)
            + logits(model, rows: training.length)
            + rounded(model, training.recipe)
    }

    private static func logits(_ model: ModelConfiguration, rows: Int) -> Int {
        let vocabulary = model.vocabularySize
        return LossHead.chunkRows(rows: rows, vocabulary: vocabulary) * vocabulary
    }

    /// Words of the linear modules' and the head's weights as products of BF16 operands read them.
    private static func prepared(_ model: ModelConfiguration, _ training: Training) -> Int {
        func words(_ rows: Int, _ columns: Int) -> Int {
            let count = CPUDevice.preparedByteCount(
                rows: rows,
                columns: columns,
                operands: training.operands
            )
            return PreparedWeights.aligned(count) / 4
        }
        let head = ParameterLayout(configuration: model).head
        let layer = model.linearModules.reduce(0) {
            $0 + words($1.outputWidth(model), $1.inputWidth(model))
        }
        return model.layerCount * layer + words(head.rows, head.columns)
    }

    /// Elements into which weights are rounded before their products.
    private static func rounded(_ model: ModelConfiguration, _ recipe: QuantizationRecipe) -> Int {
        let head = ParameterLayout(configuration: model).head.module
        let isHeadRounded = ([0] + recipe.boundaries + [1]).contains {
            recipe.format(forModule: head, progress: $0) != nil
        }
        return LayerWeights.roundedCount(model)
            + (isHeadRounded ? model.vocabularySize * model.hiddenSize : 0)
    }

    /// Elements of score matrices, two or three per thread, and of packed operands.
    private static func scratch(_ model: ModelConfiguration, _ training: Training) -> Int {
        let matrices = model.architecture.attentionSoftCap == nil ? 2 : 3
        let tile = CPUDevice.attentionTileCount(length: training.length)
        let scores = matrices * training.threads * tile
        guard training.operands == .bfloat16, training.operands.isSupported else { return scores }
        let rows = training.batchSize * training.length
        let widest = max(model.hiddenSize, model.intermediateSize, model.queryWidth)
        // Two operands to a word; the head's weights, turned for the gradient, and a chunk of logits'
        // gradients are the largest.
        let columns = max(model.vocabularySize, widest) * model.hiddenSize / 2
        return scores + columns + max(rows * widest, logits(model, rows: rows)) / 2
    }
}
