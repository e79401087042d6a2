internal import Devices
internal import Formats
internal import Kernels

extension MemoryPlan {
    /// What training `model` takes at most.
    ///
    /// Texts, the program itself and pages of mapped files come on top; some tens of megabytes.
    ///
    /// `isFrozen`: Which parameters, by name, take no gradient.
    public init(
        training model: ModelConfiguration,
        _ training: Training,
        isFrozen: (String) -> Bool
    ) {
        self = .largest(of: Self.phases(training: model, training, isFrozen: isFrozen))
    }

    /// What it takes in each of its phases, in their order; an export takes less than what comes before the
    /// first step: what was trained is written, and then the memory is that of what is read back.
    public static func phases(
        training model: ModelConfiguration,
        _ training: Training,
        isFrozen: (String) -> Bool
    ) -> [MemoryPlan] {
        withoutActuallyEscaping(isFrozen) { isFrozen in
            let memory = TrainingMemory(model: model, training: training, isFrozen: isFrozen)
            return [
                MemoryPlan(.preparing, words: memory.measuring),
                MemoryPlan(.preparing, words: memory.resuming),
                MemoryPlan(.training, words: memory.training),
            ]
        }
    }
}

/// Words of single precision that a training takes, by phase and purpose.
private struct TrainingMemory {
    typealias Words = [(String, Int)]

    let model: ModelConfiguration
    let settings: MemoryPlan.Training
    private let isFrozen: (String) -> Bool
    private let layout: ParameterLayout
    private let adapted: (targets: [AdapterConfiguration.Target], count: Int)?
    /// What takes gradients.
    private let entries: [ParameterLayout.Entry]

    init(
        model: ModelConfiguration,
        training: MemoryPlan.Training,
        isFrozen: @escaping (String) -> Bool
    ) {
        self.model = model
        settings = training
        self.isFrozen = isFrozen
        let layout = ParameterLayout(configuration: model)
        self.layout = layout
        adapted = training.adapters?.targets(in: layout)
        entries =
            adapted?.targets.flatMap { [$0.a, $0.b] }
            ?? layout.entries.filter { !isFrozen($0.name) }
    }

    private var weights: Int { layout.totalCount }
    private var rows: Int { settings.batchSize * settings.length }
    private var sharesBase: Bool { adapted != nil && settings.sharesBase }

    // MARK: Phases

    /// Before the first step: the model as it came is validated, as it is and rounded.
    var measuring: Words { weightsAtFirst + validation }

    /// Before the first step of a run that goes on.
    var resuming: Words {
        weightsAtFirst + [
            ("moments", moments), ("flips of codes", flips), ("scales of weights", scales),
        ]
    }

    /// Steps, and the validations between them.
    var training: Words { weightsOfSteps + engine + validation }

    private var weightsAtFirst: Words {
        [
            ("the model as it came", weights), ("the student's weights", weights),
            ("the teacher's weights", Self.weightCount(settings.teacher)),
        ] + adaptersAndAverage
    }

    /// The model as it came is let go before the first step, but for what is read of it.
    private var weightsOfSteps: Words {
        [
            ("the model as it came", sharesBase ? weights : 0), ("the student's weights", weights),
            ("the teacher's weights", teacherWeights),
        ] + adaptersAndAverage
    }

    private var adaptersAndAverage: Words {
        [
            ("what adapters are added to", adapted == nil || sharesBase ? 0 : weights),
            ("adapters", adapted?.count ?? 0),
            ("the weights' average", settings.averagesWeights ? weights : 0),
        ]
    }

    private var engine: Words {
        let trained = GradientArena.elementCount(entries)
        let kept = settings.kept
        let outcomes = settings.distillation?.topCount.map {
            OutcomeExchange.elementCount(rows: rows, count: $0)
        }
        let comparesHidden = (settings.distillation?.hiddenWeight ?? 0) > 0
        let logits =
            logits(rows: rows) * LossHead.logitTensorCount(model, settings.distillation)
        return [
            ("products of adapters", products), ("flips of codes", flips),
            ("gradients", trained), ("moments", moments),
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
            ("the teacher cache's buffers", outcomes ?? 0), ("logits", logits),
            ("rounded weights", rounded), ("scales of weights", scales),
            ("weights in the form of products", prepared(model)),
            ("the teacher's in that form", preparedTeacher), ("attention and products", scratch),
        ]
    }

    // MARK: The teacher

    /// The teacher's shape; nil without one.
    private var teacher: ModelConfiguration? {
        settings.distillation == nil ? nil : settings.teacher ?? model
    }

    /// Whether the teacher reads a parameter of the student, which is the same and stays so.
    private func isBorrowed(_ entry: ParameterLayout.Entry) -> Bool {
        settings.teacher == nil && settings.startsAtModel && !sharesBase
            && (adapted != nil || isFrozen(entry.name))
    }

    private var isPrepared: Bool { prepared(model) > 0 }

    /// What is left of the teacher's weights in steps, as ``LayerWeights/release(borrowing:where:)`` leaves it.
    private var teacherWeights: Int {
        // Or else the model as it came is the teacher, and stays.
        guard let teacher, settings.teacher != nil || !sharesBase else { return 0 }
        let layout = ParameterLayout(configuration: teacher)
        let isTied = layout.head == layout.embedding
        let isHeadElsewhere = isPrepared || isBorrowed(layout.head)
        var words = layout.totalCount
        if isPrepared {
            words -=
                teacher.layerCount
                * teacher.linearModules.reduce(0) {
                    $0 + $1.inputWidth(teacher) * $1.outputWidth(teacher)
                }
        }
        if !isTied, isHeadElsewhere { words -= layout.head.count }
        if isBorrowed(layout.embedding), !isTied || isHeadElsewhere {
            words -= layout.embedding.count
        }
        return words
    }

    private var preparedTeacher: Int {
        guard let teacher else { return 0 }
        let head = ParameterLayout(configuration: teacher).head
        let isShared = isBorrowed(head) && !settings.recipe.rounds(module: head.module)
        return prepared(teacher) - (isShared ? preparedWords(head.rows, head.columns) : 0)
    }

    private static func weightCount(_ model: ModelConfiguration?) -> Int {
        model.map { ParameterLayout(configuration: $0).totalCount } ?? 0
    }

    // MARK: The student

    private var moments: Int {
        OptimizerState.byteCount(
            settings.rule,
            settings.moments,
            paddedCount: GradientArena.elementCount(entries),
            counts: entries.map(\.count)
        ) / MemoryLayout<Float>.stride
    }

    /// Words of scales that do not follow the weights, on the host and on the device.
    private var scales: Int {
        guard settings.scales != .followed else { return 0 }
        var bytes = 0
        var learned = 0
        for layer in 0..<model.layerCount {
            for module in model.linearModules {
                let name = module.name(layer: layer)
                guard let format = settings.recipe.format(forModule: name, progress: 1) else {
                    continue
                }
                let rows = module.outputWidth(model)
                let blocks = format.blockScaleCount(rows: rows, columns: module.inputWidth(model))
                bytes += blocks + 4 * format.floatScaleCount(rows: rows)
                // Steps, their gradients, and two moments.
                if settings.scales == .learned, !isFrozen("\(name).weight") {
                    learned += 4 * LearnedScales.padded(blocks)
                }
            }
        }
        return (2 * bytes + 3) / 4 + learned
    }

    /// Words that are kept of weights whose codes may flip.
    private var flips: Int {
        guard settings.freezesFlips else { return 0 }
        let counts = layout.entries.filter { entry in
            layout.module(of: entry) != nil && !isFrozen(entry.name)
                && settings.recipe.format(forModule: entry.module, progress: 1) != nil
        }.map(\.count)
        return FrozenCodes.byteCount(counts) / MemoryLayout<Float>.stride
    }

    /// Elements of what adapters' gradients pass through.
    private var products: Int {
        guard let targets = adapted?.targets, let rank = settings.adapters?.rank else { return 0 }
        return Adapters.projectedCount(targets, rows: rows, rank: rank)
            + (settings.recipe.straightThrough == .clip ? Adapters.wholeCount(targets) : 0)
    }

    private var validation: Words {
        let words =
            ActivationArena.elementCount(model, rows: settings.length, keeping: .none)
            + logits(rows: settings.length) + rounded
        return [("validation", words)]
    }

    private func logits(rows: Int) -> Int {
        let vocabulary = model.vocabularySize
        return LossHead.chunkRows(rows: rows, vocabulary: vocabulary) * vocabulary
    }

    /// Words of a weight as products of BF16 operands read it.
    private func preparedWords(_ rows: Int, _ columns: Int) -> Int {
        let count = CPUDevice.preparedByteCount(
            rows: rows,
            columns: columns,
            operands: settings.operands
        )
        return PreparedWeights.aligned(count) / 4
    }

    /// The same of all linear modules and the head.
    private func prepared(_ model: ModelConfiguration) -> Int {
        let head = ParameterLayout(configuration: model).head
        let layer = model.linearModules.reduce(0) {
            $0 + preparedWords($1.outputWidth(model), $1.inputWidth(model))
        }
        return model.layerCount * layer + preparedWords(head.rows, head.columns)
    }

    /// Elements into which weights are rounded before their products.
    private var rounded: Int {
        LayerWeights.roundedCount(model)
            + (settings.recipe.rounds(module: layout.head.module) ? layout.head.count : 0)
    }

    /// Elements of score matrices, two or three per thread, and of packed operands.
    private var scratch: Int {
        let matrices = model.architecture.attentionSoftCap == nil ? 2 : 3
        let tile = CPUDevice.attentionTileCount(length: settings.length)
        let scores = matrices * settings.threads * tile
        guard isPrepared else { return scores }
        let widest = max(model.hiddenSize, model.intermediateSize, model.queryWidth)
        // Two operands to a word: of a layer's rows, or of a chunk of logits' gradients.
        let operands = max(rows * widest, logits(rows: rows)) / 2
        return scores + operands + transposed
    }

    /// Words of the largest weight that is turned for the gradient of its input.
    private var transposed: Int {
        let weights =
            model.linearModules.map { ($0.outputWidth(model), $0.inputWidth(model)) }
            + [(layout.head.rows, layout.head.columns)]
        return weights.map { rows, columns in
            CPUDevice.transposedByteCount(
                rows: rows,
                columns: columns,
                operands: settings.operands,
                threads: settings.threads
            ) / MemoryLayout<UInt32>.stride
        }.max() ?? 0
    }
}
