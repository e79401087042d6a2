public import Devices
internal import Formats
internal import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// What a step is trained to lower.
public enum TrainingObjective: Sendable, Equatable {
    /// The next token's cross-entropy, averaged over `length - 1` targets per window.
    case crossEntropy
    /// What a teacher says.
    case distillation(Distillation)
}

/// What one step reports.
public struct StepResult: Sendable, Equatable {
    /// What was lowered: the mean per position that counts, in nats; 0, which says nothing, where none does.
    public var loss: Double
    /// Positions of the step that count in the loss, or, of a loss of several parts, in each of them: 0 where
    /// windows hold nothing that is learned, as of a conversation's question alone.
    public var targetCount: Int
    /// Of a loss of several parts, the mean divergence from the teacher; else nil.
    public var divergence: Double?
    /// Of a loss of several parts, the mean cross-entropy with the text; nil if it is none of them.
    public var crossEntropy: Double?
    /// Of a loss of several parts, the mean relative error of hidden states; nil if it is none of them.
    public var hiddenError: Double?
    /// L2 norm of all trainable parameters' gradients, before clipping.
    public var gradientNorm: Double

    /// Whether the losses are of anything.
    public var hasLoss: Bool { targetCount > 0 }
}

/// Quantization-aware training of a decoder: forward with fake-quantized weights, backward straight
/// through to the FP32 masters, AdamW or Lion.
///
/// Everything is allocated at the start; a step allocates nothing. Not for concurrent use.
public final class TrainingEngine {
    /// The masters, which each step updates, as they are now.
    public var parameters: Parameters {
        weights.settle()
        learnedScales?.settle(into: weights.parameters)
        return weights.parameters
    }
    /// Steps taken.
    public private(set) var stepCount: Int
    /// The optimizer's moments.
    public let optimizer: OptimizerState
    /// What a checkpoint must hold beside ``state``: the masters, or, where adapters are trained, what those
    /// are added to.
    public var stored: Parameters { adapters?.base ?? parameters }
    /// Scales that are trained beside the weights; nil if none are.
    public let learnedScales: LearnedScales?

    let device: any ComputeDevice
    let settings: Settings
    let weights: LayerWeights
    let pass: DecoderPass
    let teacher: Teacher?
    private let gradients: GradientArena
    let adapters: Adapters?
    let clips: InputClips?
    let frozenCodes: FrozenCodes?
    private let backward: BackwardPass
    private let average: WeightAverage?
    /// Nil in one process.
    let reduction: GradientReduction?
    /// Of the current step.
    private var dampingFactor: Float?
    private let head: LossHead
    /// Of the current micro-batch.
    private let targets: NextTokenTargets
    private let lossRows: LossRows
    /// Rows of the current step that count in the loss, and those of them that a token follows.
    private var counts: (rows: Int, targets: Int) = (0, 0)
    /// `[rows, hidden]`.
    private let hiddenGradient: DeviceTensor

    /// Prepares training.
    ///
    /// `parameters`: The model, updated in place, but left as it is where adapters are trained. `teacher`: The unquantized model to distill from, of
    /// the same vocabulary; needed for distillation only. `isFrozen`: Which parameters, by name, take no
    /// gradient; with adapters, none does. `records`: What the teacher said before, where its most likely tokens are kept.
    /// `ranks`: The processes that train this model together, see ``shareState()``; nil for this one alone.
    ///
    /// - Throws: ``TransformerError``: `invalidRecipe` for a recipe that does not fit,
    ///   `parameterMismatch` for a teacher that does not.
    public init(
        parameters: Parameters,
        teacher: Parameters?,
        settings: Settings,
        isFrozen: (String) -> Bool,
        records: (any TeacherRecords)? = nil,
        ranks: (any RankGroup)? = nil,
        device: any ComputeDevice
    ) throws {
        self.device = device
        self.settings = settings
        let model = parameters.configuration
        let adapters = try Adapters(settings, base: parameters, device: device)
        self.adapters = adapters
        weights = try LayerWeights(
            parameters: adapters == nil ? parameters : parameters.copy(),
            recipe: settings.recipe,
            isPrepared: true,
            device: device
        )
        let attention = WholeSequences(settings, of: model, device: device)
        pass = DecoderPass(
            weights: weights,
            attention: attention,
            rows: settings.rows,
            positions: settings.length,
            keeping: settings.kept(as: device.activationType)
        )
        self.teacher = try Self.teacher(teacher, of: model, settings, records, device)
        clips = InputClips(settings, of: model, ranks: ranks, device: device)
        let entries = parameters.layout.entries.filter { adapters == nil && !isFrozen($0.name) }
        gradients = GradientArena(entries, device: device)
        let trained = adapters?.gradients ?? gradients
        reduction = ranks.map { GradientReduction(trained, ranks: $0, settings, device) }
        backward = BackwardPass(
            pass: pass,
            attention: attention,
            gradients: gradients,
            adapters: adapters,
            clips: clips,
            reduction: reduction
        )
        optimizer = OptimizerState(
            slots: trained.slots,
            count: trained.storage.count,
            configuration: settings.optimizer,
            reduction: reduction,
            device: device
        )
        average = try WeightAverage(
            settings,
            parameters,
            adapters?.weights ?? gradients.slots.map(\.entry),
            device
        )
        frozenCodes = FrozenCodes(settings, weights, gradients: gradients, device: device)
        learnedScales =
            settings.learnsScales
            ? LearnedScales(weights: weights, gradients: gradients, ranks: ranks, device: device)
            : nil
        learnedScales?.begin(at: parameters.fixedScales)
        head = Self.head(of: model, self.teacher, settings, device)
        targets = NextTokenTargets(settings, device: device)
        lossRows = LossRows(settings)
        hiddenGradient = device.tensor(rows: settings.rows, columns: model.hiddenSize)
        stepCount = 0
        adapters?.begin()
    }

    private static func teacher(
        _ parameters: Parameters?,
        of model: ModelConfiguration,
        _ settings: Settings,
        _ records: (any TeacherRecords)?,
        _ device: any ComputeDevice
    ) throws -> Teacher? {
        guard case .distillation(let distillation) = settings.objective else { return nil }
        return try Teacher(
            parameters,
            of: model,
            distillation,
            settings,
            records: records,
            device
        )
    }

    private static func head(
        of model: ModelConfiguration,
        _ teacher: Teacher?,
        _ settings: Settings,
        _ device: any ComputeDevice
    ) -> LossHead {
        LossHead(
            configuration: model,
            teacher: teacher?.configuration,
            distillation: teacher?.distillation ?? Distillation(),
            chunkRows: LossHead.chunkRows(
                rows: settings.rows,
                vocabulary: model.vocabularySize
            ),
            device: device
        )
    }

    /// Windows a step takes: micro-batches times windows each.
    public var windowsPerStep: Int { settings.accumulation * settings.batchSize }

    /// What a checkpoint must hold beside the weights; what the host changes there is taken by
    /// ``resume(atStep:)``.
    public var state: [TrainingTensor] {
        (adapters?.tensors ?? []) + optimizer.tensors + (average?.tensors ?? [])
            + (learnedScales?.tensors ?? []) + (clips?.tensors ?? [])
            + (frozenCodes?.tensors ?? [])
    }

    /// What the run is for: the masters' moving average if there is one, or else the masters.
    public var trained: Parameters {
        guard let average else { return parameters }
        average.settle()
        learnedScales?.settle(into: weights.parameters)
        // Kept scales may have come after the average.
        average.parameters.fixedScales = weights.parameters.fixedScales
        return average.parameters
    }

    /// Continues a run whose ``stored`` parameters and ``state`` the host restored, or begins one, at step 0,
    /// whose parameters it changed.
    public func resume(atStep step: Int) {
        precondition(
            teacher?.parameters.isWhole ?? true,
            "a run begins after its teacher's release"
        )
        take(atStep: step)
    }

    /// Takes ``stored`` parameters and ``state`` of an earlier step of this run, which the host restored, for
    /// what ``trained`` and ``inputRanges`` say then; no step may follow.
    public func show(step: Int) {
        take(atStep: step)
    }

    func take(atStep step: Int) {
        adapters?.refresh(weights.parameters)
        weights.refresh()
        adapters?.merge(into: weights)
        optimizer.refresh()
        if step == 0 {
            average?.begin(at: weights.parameters)
            learnedScales?.begin(at: weights.parameters.fixedScales)
        } else {
            average?.resume(beside: weights.parameters)
            learnedScales?.refresh()
        }
        clips?.refresh(weights)
        frozenCodes?.refresh()
        stepCount = step
    }

    /// Gives the memory of the teacher's weights back that no step reads: of those that products read in a
    /// form of their own, and of its embedding and head where the student has the same and does not train
    /// them.
    ///
    /// Steps compute the same bits as without; the teacher's ``Parameters`` are no longer whole, and no other
    /// run may ``resume(atStep:)`` here. Nothing without a teacher, or where its weights are those that
    /// adapters are added to.
    public func releaseTeacher() {
        guard let teacher, teacher.parameters !== adapters?.base else { return }
        teacher.release(borrowing: weights) { gradients.gradient(of: $0) == nil }
    }

    /// Rounds keys and values as a cache under the scales of these ranges stores them, from now on; nil
    /// leaves them as they are.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) of ranges that are not the model's.
    public func roundCache(_ ranges: CacheRanges?) throws {
        try weights.setCacheScales(ActivationQuantization.none.with(cache: ranges))
    }

    /// Rounds inputs under scales of these ranges, found on text, from now on, and clips to them; of scales
    /// that are learned it is where they begin.
    ///
    /// Nothing where the settings have scales found as the model runs.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) of ranges that are not the model's.
    public func clipInputs(at ranges: InputRanges) throws {
        try clips?.calibrate(ranges, weights)
    }

    /// What inputs are clipped to now, by module; nil where they are not.
    public var inputRanges: InputRanges? { clips?.ranges(weights.configuration) }

    /// The latest step's gradients of learned thresholds, relative to the calibrated ones, by the first
    /// module that shares an input.
    package var clipGradients: [String: Double] { clips?.gradientsByModule() ?? [:] }

    /// How many weights are frozen since they flipped, of how many that may be; nil where none are.
    public var frozenCodeCounts: (frozen: Int, all: Int)? { frozenCodes?.counts }

    /// Takes one step on `tokens`, `[windowsPerStep, length]`, each in the vocabulary.
    ///
    /// `learningRate`: 0 or more. `progress`: Share of the run that is behind, in 0 … 1, which picks the
    /// recipe's stage. Where the recipe alternates, the steps taken pick the format. `stageStart`: Steps of the run before its stage began; 0 in the first.
    /// `scaleLearningRate`: Of learned scales; 0 or more. `clipLearningRate`: Of learned thresholds of inputs,
    /// relative to the calibrated ones.
    ///
    /// A step whose windows hold nothing that is learned is one with a loss and gradients of 0: moments fade, and
    /// weights move by them and decay.
    ///
    /// - Throws: ``TransformerError`` (`diverged`), before any parameter changes.
    public func step(
        tokens: UnsafePointer<Int32>,
        learningRate: Double,
        progress: Double,
        stageStart: Int = 0,
        scaleLearningRate: Double = 0,
        clipLearningRate: Double = 0
    ) throws -> StepResult {
        weights.setTurn(ofStep: stepCount)
        weights.setProgress(progress)
        if let seed = settings.roundingSeed {
            var generator = SplitMix64(seed: seed &+ UInt64(stepCount))
            weights.drawRounding(UInt32(truncatingIfNeeded: generator.next()))
        }
        trainedGradients.clear()
        clips?.clear()
        counts = lossRows.count(tokens, windows: windowsPerStep)
        // Once in a step, whoever adds it.
        let isFirstRank = reduction.map { $0.ranks.rank == 0 } ?? true
        dampingFactor =
            settings.damping > 0 && isFirstRank
            ? Float(settings.damping * Self.dampingShare(progress)) : nil
        let (loss, norm) = accumulate(tokens)
        var result = loss.result(settings.objective, targetCount: targetCount)
        result.gradientNorm = norm
        guard result.loss.isFinite, norm.isFinite else {
            throw divergence(loss: result.loss, norm: norm, tokens: tokens)
        }
        update(
            learningRate: learningRate,
            scaleLearningRate: scaleLearningRate,
            norm: norm,
            stageStart: stageStart,
            isLastStage: settings.recipe.isInLastStage(progress)
        )
        clips?.update(
            weights,
            learningRate: clipLearningRate,
            configuration: settings.optimizer,
            stepCount: stepCount
        )
        return result
    }

    /// Positions of the current step that all parts of its loss count.
    private var targetCount: Int {
        let share = teacher?.distillation.crossEntropyWeight ?? 1
        return share > 0 ? counts.targets : counts.rows
    }

    /// The share of ``Settings/damping`` at `progress`: from none to all in half a cosine.
    static func dampingShare(_ progress: Double) -> Double {
        0.5 * (1 - cos(.pi * min(max(progress, 0), 1)))
    }

    private var trainedGradients: GradientArena { adapters?.gradients ?? gradients }

    /// The latest step's gradient of a parameter, or of an adapter's, row-major; nil if it is frozen or
    /// unknown.
    ///
    /// Of several ranks none has it.
    package func gradient(ofParameter name: String) -> [Float]? {
        let found = weights.parameters.layout[name].flatMap { gradients.gradient(of: $0) }
        guard let gradient = found ?? adapters?.gradient(named: name) else { return nil }
        var values = [Float](repeating: 0, count: gradient.count)
        device.download(gradient, into: &values)
        return values
    }

    /// L2 norms of the latest step's gradients of weights by module, before clipping; where adapters are
    /// trained, of a module's two together.
    public var gradientNorms: [String: Double] {
        let arena = trainedGradients
        let modules = adapters?.modules ?? arena.slots.map(\.entry.module)
        var squares: [String: Double] = [:]
        for (index, slot) in arena.slots.enumerated() where slot.entry.name.hasSuffix(".weight") {
            let norm =
                reduction?.norm(ofSlot: index)
                ?? device.norm(
                    of: GradientArena.tensor(slot.entry, in: arena.storage.memory, at: slot.offset)
                )
            squares[modules[index], default: 0] += norm * norm
        }
        return squares.mapValues { $0.squareRoot() }
    }

    /// The latest step's gradient of the steps of a parameter's blocks; nil if they are not learned.
    package func scaleGradient(ofParameter name: String) -> [Float]? {
        learnedScales?.gradient(ofParameter: name)
    }

    /// Runs over this process's micro-batches of a step; the loss, and the norm of the gradients, of all.
    private func accumulate(_ tokens: UnsafePointer<Int32>) -> (LossParts, norm: Double) {
        let layers = 0..<pass.configuration.layerCount
        var loss = LossParts()
        guard let reduction else {
            for micro in 0..<settings.accumulation {
                loss.add(accumulate(tokens, micro) { _ in })
            }
            finishGradients(layers)
            return (loss, trainedGradients.norm())
        }
        reduction.begin()
        for micro in ownMicroBatches {
            let isLast = micro + reduction.ranks.count >= settings.accumulation
            loss.add(
                accumulate(tokens, micro) { layer in
                    guard isLast else { return }
                    finishGradients(layer..<layer + 1)
                    reduction.release(layer: layer)
                }
            )
        }
        learnedScales?.reduceGradients()
        let norm = reduction.complete()
        return (reduction.sum(loss), norm)
    }

    /// What is done to the gradients of layers once all micro-batches are in.
    private func finishGradients(_ layers: Range<Int>) {
        // Before gradients of saturated values are taken away: it is these that ask for another scale.
        learnedScales?.findGradients(weights, from: gradients, layers: layers)
        backward.clipSaturated(layers: layers)
        if let dampingFactor { backward.dampen(by: dampingFactor, layers: layers) }
    }

    private func accumulate(
        _ step: UnsafePointer<Int32>,
        _ micro: Int,
        onLayer: (Int) -> Void
    ) -> LossParts {
        let tokens = step + micro * pass.rows
        pass.forward(tokens)
        lossRows.set(tokens)
        let gradient = LossHead.HeadGradient(
            hidden: hiddenGradient,
            head: gradients.gradient(of: weights.parameters.layout.head)
        )
        let input = LossHead.Input(hidden: pass.finalNorm, head: weights.headOperand())
        var parts = LossParts()
        if let teacher {
            parts = distill(tokens, teacher, input, gradient)
        } else {
            targets.set(tokens)
            parts.main = head.crossEntropy(
                input,
                targets: targets.tensor,
                gradientScale: 1 / Float(max(counts.targets, 1)),
                gradient: gradient
            )
        }
        backward.run(
            finalNormGradient: hiddenGradient,
            streamGradients: teacher?.streamGradients,
            onLayer: onLayer
        )
        return parts
    }

    private func distill(
        _ tokens: UnsafePointer<Int32>,
        _ teacher: Teacher,
        _ input: LossHead.Input,
        _ gradient: LossHead.HeadGradient
    ) -> LossParts {
        let share = teacher.distillation.crossEntropyWeight
        if share > 0 { targets.set(tokens) }
        return head.distillation(
            input,
            teacher: teacher.say(
                tokens,
                student: pass,
                head: head,
                counted: lossRows,
                rowCount: counts.rows
            ),
            targets: targets.tensor,
            counted: lossRows,
            scales: .init(
                divergence: Float(1 - share) / Float(max(counts.rows, 1)),
                crossEntropy: Float(share) / Float(max(counts.targets, 1))
            ),
            gradient: gradient
        )
    }

    /// The error of a step, with the first module whose output is not finite.
    private func divergence(
        loss: Double,
        norm: Double,
        tokens: UnsafePointer<Int32>
    ) -> TransformerError {
        var place = ""
        if loss.isFinite {
            place = "; the first NaN or infinity is a gradient"
            let name = reduction.map { $0.lastNonFinite() } ?? trainedGradients.lastNonFinite()
            if let name { place += ", that of \(name)" }
        } else if let reduction {
            var found: (Int, String)?
            for micro in ownMicroBatches where found == nil {
                found = divergencePlace(tokens, micro).map { (micro, $0) }
            }
            place = reduction.first(of: found)
        } else {
            place =
                (0..<settings.accumulation).lazy.compactMap { self.divergencePlace(tokens, $0) }
                .first ?? ""
        }
        return TransformerError(
            .diverged,
            """
            step \(stepCount + 1): loss \(loss), gradient norm \(norm)\(place); lower the learning \
            rate
            """
        )
    }

    /// The first module of a micro-batch whose output is not finite, as a part of a sentence.
    private func divergencePlace(_ tokens: UnsafePointer<Int32>, _ micro: Int) -> String? {
        let start = tokens + micro * pass.rows
        if let module = pass.firstNonFinite(start, rows: pass.rows) {
            return "; a NaN or an infinity first appears in \(module)"
        }
        return teacher?.firstNonFinite(start).map {
            "; a NaN or an infinity first appears in the teacher's \($0)"
        }
    }

    private func update(
        learningRate: Double,
        scaleLearningRate: Double,
        norm: Double,
        stageStart: Int,
        isLastStage: Bool
    ) {
        // Decided by the step alone: a run that resumes between two stages does the same.
        let isNew = settings.stageMoments == .reset
        if isNew, stageStart > 0, stageStart == stepCount { optimizer.clear() }
        stepCount += 1
        let limit = settings.optimizer.gradientClipNorm
        // PyTorch's clip_grad_norm_ divides by norm + 1e-6.
        let scale = limit > 0 ? min(1, limit / (norm + 1e-6)) : 1
        optimizer.update(
            { adapters?.tensor($0) ?? weights.tensor($0) },
            gradients: trainedGradients,
            learningRate: learningRate,
            configuration: settings.optimizer,
            age: isNew ? stepCount - stageStart : stepCount,
            seed: stepCount,
            gradientScale: Float(scale)
        )
        reduction?.shareWeights { adapters?.tensor($0) ?? weights.tensor($0) }
        learnedScales?.update(
            weights,
            learningRate: scaleLearningRate,
            configuration: settings.optimizer,
            stepCount: stepCount
        )
        // Codes of an earlier stage are other ones.
        if isLastStage { frozenCodes?.update(weights) }
        weights.invalidate()
        adapters?.merge(into: weights)
        average?.add(weights, step: stepCount)
    }
}
