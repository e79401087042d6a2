internal import ComputeKit
internal import DurableFiles
internal import Formats
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Kernels
internal import Protocol
internal import ServiceKit
internal import Transformer

/// A training job's settings, resolved against its data.
struct TrainingPlan {
    /// What the job asks for.
    let spec: TrainSpec
    let recipe: QuantizationRecipe
    /// The recipes for one format each that steps take in turn; the recipe itself where it is for one.
    let turns: [QuantizationRecipe]
    let objective: TrainingObjective
    let optimizer: OptimizerConfiguration
    let schedule: LearningRateSchedule
    /// The decay of the weights' moving average; nil for none.
    let averageDecay: Double?
    /// The weight of the damping loss at the run's end; 0 without one.
    let damping: Double
    /// When weights that flip are frozen; nil for never.
    let freezing: FlipRule?
    /// What weights are rounded up or down by at random; nil rounds to nearest.
    let roundingSeed: UInt64?
    /// The peak rate of learned scales, which takes the same course; nil if none are.
    let scaleRate: Double?
    /// Where the scales of inputs come from.
    let inputScales: InputScaleSource
    /// The peak rate of learned thresholds of inputs, which takes the same course.
    let clipRate: Double
    /// The weight of their squares in the loss.
    let clipRegularization: Double
    /// The adapters that are trained in place of the weights; nil for none.
    let adapters: AdapterConfiguration?
    /// Whether these are added to the model's own weights, as they came.
    let sharesBase: Bool
    let batchSize: Int
    /// Micro-batches of a step, of all devices together, however many ranks compute them.
    let accumulation: Int
    let length: Int
    let checkpointsActivations: Bool
    let operands: OperandPrecision
    let totalSteps: Int
    /// When the run is validated, kept, ended and taken back.
    let control: RunControl.Rules
    /// Windows of a validation, or their share; nil for all.
    private let validationShare: Extent?
    let logInterval: Int
    let seed: UInt64
    let sampling: WindowSampler.Order
    /// In which order windows of a corpus are read.
    let loaderType: DataOptions.LoaderType
    /// Threads that read windows ahead.
    let workerCount: Int
    /// What is kept of the teacher; nil if nothing is.
    let teacherCache: TeacherCachePlan?
    /// The exports by format; the first group's is the format of `model/`.
    let exports: [ExportGroup]
    let warnings: [String]
    /// Identifies the settings a checkpoint belongs to.
    let fingerprint: String
    let frozen: [ModulePattern]

    var validationInterval: Int { control.validationInterval }

    var isDistilling: Bool { objective != .crossEntropy }

    init(
        _ spec: TrainSpec,
        warnings specWarnings: [JobWarning],
        specText: String,
        trainTokenCount: Int
    ) {
        self.spec = spec
        recipe = spec.quantization.recipe
        turns = recipe.turns
        let trainer = spec.trainer
        objective = spec.distillation.map { .distillation(Distillation($0)) } ?? .crossEntropy
        optimizer = OptimizerConfiguration(spec.optimizer, clip: trainer.gradientClip)
        averageDecay = trainer.averageDecay
        damping = spec.quantization.damping
        freezing = FlipRule(spec.quantization)
        roundingSeed = spec.quantization.rounding == .stochastic ? spec.seed : nil
        scaleRate =
            spec.quantization.scales == .learned ? spec.quantization.scaleLearningRate : nil
        inputScales = spec.quantization.inputScales
        clipRate = spec.quantization.clipLearningRate
        clipRegularization = spec.quantization.clipRegularization
        adapters = spec.lora.map { AdapterConfiguration($0, seed: spec.seed) }
        sharesBase = spec.sharesBase
        batchSize = trainer.microBatchSize
        accumulation = trainer.accumulatedBatches
        length = spec.data.sequenceLength
        checkpointsActivations = trainer.checkpointsActivations
        operands = trainer.hasMixedPrecision ? .bfloat16 : .float32
        let run = spec.runLength(tokenCount: trainTokenCount)
        totalSteps = run.steps
        control = RunControl.Rules(spec, run)
        validationShare = trainer.validationBatches
        logInterval = trainer.logInterval
        schedule = LearningRateSchedule(spec.optimizer, recipe: recipe, totalSteps: totalSteps)
        seed = spec.seed
        sampling = spec.data.sampling == .epoch ? .epoch : .random
        loaderType = spec.data.loaderType
        workerCount = spec.data.workerCount
        teacherCache = TeacherCachePlan(spec, tokenCount: trainTokenCount)
        exports = spec.exportGroups
        frozen = spec.frozen
        var warnings = specWarnings.map(\.description)
        if let warning = control.idleJudgement(of: spec), !warnings.contains(warning) {
            warnings.append(warning)
        }
        if spec.trainer.maximumSteps == nil, spec.optimizer.warmupSteps >= totalSteps {
            warnings.append(
                "$.optim.sched.warmup_steps: \(spec.optimizer.warmupSteps) is not below the "
                    + "\(totalSteps) steps that max_epochs comes to: the learning rate climbs to the end"
            )
        }
        if !operands.isSupported {
            warnings.append(
                "$.trainer.precision: \(trainer.precision): this worker's processor does not multiply "
                    + "BF16 (AVX-512 BF16): computed in FP32"
            )
        }
        if let teacherCache, spec.data.repeatsWindows, !spec.data.isMixture,
            let held = run.windowsPerEpoch, totalSteps <= held / run.windowsPerStep
        {
            warnings.append(
                "$.distillation.teacher_cache: the run's \(totalSteps) steps see \(teacherCache.windows) of "
                    + "\(held) windows, each once: nothing that is kept is found again but by "
                    + "another attempt"
            )
        }
        self.warnings = warnings
        fingerprint = SHA256Digest.digest(of: Array(specText.utf8)).hex
    }

    /// Windows of a validation, of as many as its text holds.
    func validationWindows(of available: Int) -> Int {
        min(validationShare?.count(of: available) ?? available, available)
    }

    /// The step of the newest checkpoint in a folder, whole or not; 0 without one.
    static func reachedStep(in folder: String) -> Int {
        Int(clamping: CheckpointName.all(in: folder).max()?.step ?? 0)
    }

    /// The name of a turn's format; nil where there is one turn alone.
    func formatName(ofTurn turn: Int) -> String? {
        turns.count > 1 ? turns[turn].defaultFormat?.name : nil
    }

    /// The turn that a step (from 0) takes, as the engine has it.
    func turn(ofStep step: Int) -> Int { step % turns.count }

    /// What a step (from 0) takes; `rateFactor` multiplies all of its rates.
    func order(ofStep step: Int, rateFactor: Double) -> StepOrder {
        let rate = schedule.rate(step: step) * rateFactor
        // What is learned beside the weights takes their course, from peaks of its own.
        let peak = max(schedule.peak, 1e-300)
        return StepOrder(
            learningRate: rate,
            progress: Double(step) / Double(totalSteps),
            stageStart: schedule.stageStart(of: step),
            scaleLearningRate: (scaleRate ?? 0) * rate / peak,
            clipLearningRate: clipRate * rate / peak
        )
    }

    /// Whether a step, counted from 1, is measured: every ``logInterval``-th and the last one; of a training for
    /// several formats the last that each format takes up to there.
    func isMeasured(_ step: Int) -> Bool {
        let after = step % logInterval
        let next = after == 0 ? 0 : logInterval - after
        return min(next, totalSteps - step) < turns.count
    }

    /// The turn whose format `model/` is in.
    var firstTurn: Int { exports.first?.turn ?? 0 }

    func isFrozen(_ parameter: String) -> Bool {
        frozen.contains { $0.matches(parameter) }
    }

    /// The request's specification, once nothing in it is beyond this version.
    static func specification(
        _ request: ComputeRequest
    ) throws -> (spec: TrainSpec, warnings: [JobWarning]) {
        try JobSpecification.read(request, service: "trains") { job -> TrainSpec? in
            if case .train(let spec) = job { spec } else { nil }
        }
    }

    /// Local paths of the texts of a list in the specification.
    static func paths(
        _ texts: [String],
        _ pointer: String,
        _ request: ComputeRequest
    ) throws -> [String] {
        try texts.indices.map { try request.path("\(pointer)/\($0)") }
    }
}

extension TrainingPlan {
    /// What an engine is told of the run.
    func settings(_ documents: DocumentRules?) -> TrainingEngine.Settings {
        TrainingEngine.Settings(
            recipe: recipe,
            objective: objective,
            optimizer: optimizer,
            stageMoments: schedule.stageChange.moments,
            averageDecay: averageDecay,
            damping: damping,
            batchSize: batchSize,
            accumulation: accumulation,
            length: length,
            checkpointsActivations: checkpointsActivations,
            learnsScales: scaleRate != nil,
            roundingSeed: roundingSeed,
            adapters: adapters,
            inputScales: inputScales,
            clipRegularization: clipRegularization,
            freezing: freezing,
            documents: documents
        )
    }
}

extension RunControl.Rules {
    fileprivate init(_ spec: TrainSpec, _ run: RunLength) {
        let trainer = spec.trainer
        self.init(
            totalSteps: run.steps,
            validationInterval: trainer.validationInterval?.count(of: run.stepsPerEpoch)
                ?? run.stepsPerEpoch,
            checkpointInterval: trainer.checkpointInterval,
            keepsBest: spec.exportSource == .best,
            earlyStopping: trainer.earlyStopping.map {
                .init(
                    patience: $0.patience,
                    minimumDelta: $0.minimumDelta,
                    threshold: $0.threshold
                )
            },
            divergence: trainer.divergenceGuard.map {
                .init(lossFactor: $0.lossFactor, patience: $0.patience)
            }
        )
    }

    /// What of the job's judgement of validations has no effect in a run of so many steps; nil if all has.
    fileprivate func idleJudgement(of spec: TrainSpec) -> String? {
        // Every multiple of the interval, and the last step.
        let count = totalSteps / validationInterval + (totalSteps % validationInterval > 0 ? 1 : 0)
        return spec.idleJudgement(validations: count, steps: totalSteps)
    }
}

extension LearningRateSchedule {
    fileprivate init(
        _ options: OptimizerOptions,
        recipe: QuantizationRecipe,
        totalSteps: Int
    ) {
        self.init(
            peak: options.learningRate,
            minimum: options.minimumLearningRate,
            warmupSteps: min(options.warmupSteps, totalSteps),
            constantSteps: options.constantSteps,
            totalSteps: totalSteps,
            stageStarts: StageChange.steps(of: recipe, totalSteps: totalSteps),
            stageChange: StageChange(
                moments: .init(options.stageMoments),
                warmupSteps: options.stageWarmupSteps
            )
        )
    }
}

extension StageChange.Moments {
    fileprivate init(_ word: OptimizerOptions.StageMoments) {
        switch word {
        case .keep: self = .keep
        case .reset: self = .reset
        }
    }
}

extension OptimizerConfiguration {
    fileprivate init(_ options: OptimizerOptions, clip: Double?) {
        self.init(
            .init(options.name),
            beta1: options.beta1,
            beta2: options.beta2,
            epsilon: options.epsilon,
            weightDecay: options.weightDecay,
            moments: MomentPrecision(options.moments),
            gradientClipNorm: clip ?? 0
        )
    }
}

extension FlipRule {
    /// Nil where nothing is frozen.
    fileprivate init?(_ options: QuantizationOptions) {
        guard let threshold = options.flipThreshold else { return nil }
        self.init(momentum: Float(options.flipMomentum), threshold: Float(threshold))
    }
}
