internal import ComputeKit
internal import Devices
internal import Formats
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import Protocol
internal import ServiceKit
internal import Transformer

/// One training job, from its request to its outputs.
struct TrainingLoop {
    let plan: TrainingPlan
    let request: ComputeRequest
    let reporter: ComputeReporter
    let team: ThreadTeam
    let model: LoadedModel
    /// What is trained: the model's shape, and biases where outputs are corrected.
    private let shape: ModelConfiguration
    let modelReference: String
    let texts: TrainingTexts
    private let windows: any TrainingWindows
    let documents: DocumentRules?
    private let checkpoints: CheckpointStore
    let start: StartWeights
    let recorder: RunRecorder
    /// By turn; one where the training is for one format.
    let layerTables: [LayerTable]
    let warnings: [String]

    init(_ request: ComputeRequest, _ reporter: ComputeReporter) throws {
        self.request = request
        self.reporter = reporter
        recorder = RunRecorder(reporter)
        let (spec, warnings) = try TrainingPlan.specification(request)
        team = ThreadTeam(threadCount: request.threads)
        checkpoints = CheckpointStore(folder: request.checkpointFolder) { path in
            let (digest, byteCount) = try SHA256Digest.digest(ofFile: path)
            return (digest.bytes, Int(byteCount))
        }
        // Until the training begins: an earlier attempt, here or elsewhere, may have come to this step.
        let reached = TrainingPlan.reachedStep(in: request.checkpointFolder)
        reporter.begin(at: reached, of: TrainingPlan.stepCount(spec.trainer) ?? 0)
        reporter.follow { [team] in team.pieceCount }
        let remarks = try JobInputs.accept(.train(spec), request, reporter)
        reporter.progress(phase: "load")
        model = try ModelLoader.load(path: try request.path("/model"), team: team)
        modelReference = spec.model
        reporter.log(
            """
            model: \(model.source.rawValue), \(model.configuration.architecture.family), \
            \(model.parameters.layout.totalCount) parameters, \(model.configuration.layerCount) layers
            """
        )
        try Self.requireMemory(spec, model.configuration, request, reporter)
        texts =
            switch spec.data.implementation {
            case .text: try Self.texts(spec, request, reporter, model, team)
            case .mmap:
                try TrainingTexts(
                    corporaOf: spec,
                    request,
                    reporter,
                    vocabularySize: model.configuration.vocabularySize
                )
            }
        plan = TrainingPlan(
            spec,
            warnings: warnings,
            specText: request.spec,
            trainTokenCount: texts.training.count
        )
        windows = try texts.windows(plan)
        documents = spec.data.documentRules(model.configuration)
        start = StartWeights(
            spec: spec,
            request: request,
            reporter: reporter,
            team: team,
            model: model,
            trainText: texts.training
        )
        shape = spec.student(of: model.configuration)
        let layout = ParameterLayout(configuration: shape)
        layerTables = try plan.turns.map { try LayerTable(layout, recipe: $0) }
        self.warnings =
            remarks + plan.warnings + layerTables[0].idleRules.map { "$.quantization.\($0)" }
            + layout.idlePatterns(plan.frozen).map { "$.frozen[\($0)]: names no parameter" }
        tellRecipe()
    }

    /// The tokens of the training texts, and of the text that the teacher makes.
    static func trainingText(
        _ spec: TrainSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        _ model: LoadedModel,
        _ tokens: TextTokens,
        _ team: ThreadTeam
    ) throws -> [Int32] {
        let paths = try TrainingPlan.paths(spec.data.training, "/data/train", request)
        let texts = try TextCorpus.load(paths: paths, key: spec.data.textKey, tokens)
        guard let options = spec.data.generated else { return texts }
        let generated = GeneratedText(
            options: options,
            length: spec.data.sequenceLength,
            seed: spec.seed,
            request: request,
            reporter: reporter
        )
        let count = texts.count + options.windows * spec.data.sequenceLength
        reporter.begin(
            at: TrainingPlan.reachedStep(in: request.checkpointFolder),
            of: TrainingPlan.stepCount(spec, tokenCount: count)
        )
        let teacher = try Self.teacher(of: model, request, team)
        return texts + (try generated.tokens(of: teacher, model.tokenizer, team: team))
    }

    private func tellRecipe() {
        for warning in warnings {
            reporter.log(warning)
        }
        if plan.roundingSeed != nil {
            reporter.log(
                "steps round weights at random; validations and the export round to nearest"
            )
        }
        let added = shape.parameterCount - model.configuration.parameterCount
        if added > 0 {
            reporter.log("output correction: \(added) biases begin at zero and are trained")
        }
        if let adapters = plan.adapters {
            let layout = model.parameters.layout
            let size = adapters.size(in: layout)
            let share = Double(size.parameters) / Double(layout.totalCount)
            reporter.log(
                String(
                    format: "lora: adapters of rank %d on %d weights are trained, %d parameters "
                        + "(%.2f %% of the model's); all others stay",
                    adapters.rank,
                    size.weights,
                    size.parameters,
                    share * 100
                )
            )
        }
        let table = layerTables[0]
        reporter.log("quantizable layers: \(table.quantizedCount) by the recipe's last stage")
        if plan.turns.count > 1 {
            let names = plan.turns.indices.compactMap(plan.formatName)
            reporter.log("steps round weights in turn to \(names.joined(separator: ", "))")
        }
        for stage in table.stages where table.stages.count > 1 {
            let (start, end) = (stage.progress.lowerBound, stage.progress.upperBound)
            reporter.log(
                String(format: "from %.0f %% to %.0f %% of the run: ", start * 100, end * 100)
                    + stage.precision
            )
        }
    }

    /// Says what the training will hold in memory, and refuses to begin what cannot fit.
    private static func requireMemory(
        _ spec: TrainSpec,
        _ model: ModelConfiguration,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter
    ) throws {
        let teacher = try request.inputs["/distillation/teacher"].map {
            try ModelLoader.open(path: $0).configuration
        }
        let plan = MemoryPlan(spec, model: model, teacher: teacher, threads: request.threads)
        let sentence = plan.sentence
        let limit = MemoryLimit.current
        guard plan.byteCount > limit.byteCount else {
            reporter.log(sentence)
            return
        }
        throw ComputeFailure(
            .exceedsMemory,
            """
            this worker has \(MemoryPlan.text(limit.byteCount)) (\(limit.name)), and the training takes \
            \(sentence); lower micro_batch_size or seq_length, freeze parameters, or let a larger \
            worker take it
            """
        )
    }

    func run() throws {
        let trained = try trainedModel()
        // The engine is gone with its memory; adapters, too, need what they were added to no more.
        model.parameters.release(model.parameters.layout.entries)
        try finish(trained.parameters, trained.inputs, before: trained.before)
    }

    /// Trains to the end; what comes out, with the ranges of its inputs and what was measured before.
    private func trainedModel() throws -> (
        parameters: Parameters, inputs: InputRanges?, before: [String: Double]
    ) {
        // The student's own weights; `model` stays the unquantized teacher and yardstick. What adapters are
        // added to stays, too, and may be the same.
        let student = plan.sharesBase ? model.parameters : try model.parameters.copy(as: shape)
        let records = teacherCache()
        let engine = try engine(student, records)
        let restored = restore(engine)
        // A run that goes on from a checkpoint is past its start.
        if restored == nil {
            try start.load(into: student)
            engine.resume(atStep: 0)
        }
        let cache = try start.cacheRanges(of: student, kept: restored)
        try engine.roundCache(cache)
        let inputs = try start.inputRanges(of: student, kept: restored)
        if let inputs { try engine.clipInputs(at: inputs) }
        var before = try baseline(
            student,
            (cache, inputs),
            restored: restored,
            step: engine.stepCount
        )
        TrainingResults.keep(cache, in: &before)
        TrainingResults.keep(inputs, in: &before)
        releaseModel(engine)
        try train(engine, values: before)
        tellEnd(of: engine, records)
        return (engine.trained, engine.inputRanges, before)
    }

    private func engine(_ student: Parameters, _ records: TeacherCache?) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: student,
            teacher: plan.isDistilling ? try Self.teacher(of: model, request, team) : nil,
            settings: .init(
                recipe: plan.recipe,
                objective: plan.objective,
                optimizer: plan.optimizer,
                stageMoments: plan.schedule.stageChange.moments,
                averageDecay: plan.averageDecay,
                damping: plan.damping,
                batchSize: plan.batchSize,
                accumulation: plan.accumulation,
                length: plan.length,
                checkpointsActivations: plan.checkpointsActivations,
                learnsScales: plan.scaleRate != nil,
                roundingSeed: plan.roundingSeed,
                adapters: plan.adapters,
                inputScales: plan.inputScales,
                clipRegularization: plan.clipRegularization,
                freezing: plan.freezing,
                documents: documents
            ),
            isFrozen: { plan.isFrozen($0) },
            records: records,
            device: CPUDevice(team: team, operands: plan.operands)
        )
    }

    /// Gives back what steps do not read of the model as it came: it was measured, and the student has
    /// weights of its own.
    private func releaseModel(_ engine: TrainingEngine) {
        guard engine.stepCount < plan.totalSteps else { return }
        engine.releaseTeacher()
        let isTeacher = plan.isDistilling && request.inputs["/distillation/teacher"] == nil
        if !isTeacher, !plan.sharesBase {
            model.parameters.release(model.parameters.layout.entries)
        }
    }

    private func tellEnd(of engine: TrainingEngine, _ records: TeacherCache?) {
        if let (frozen, all) = engine.frozenCodeCounts {
            let share = 100 * Double(frozen) / Double(max(all, 1))
            reporter.log(
                String(
                    format:
                        "oscillation: %d of %d weights (%.3f %%) flipped too often and are frozen",
                    frozen,
                    all,
                    share
                )
            )
        }
        if let records {
            reporter.log(
                "teacher cache: \(records.readCount) windows were read, \(records.missCount) computed"
            )
        }
    }

    /// What was kept of the teacher, where the job keeps it.
    private func teacherCache() -> TeacherCache? {
        guard let cachePlan = plan.teacherCache,
            case .distillation(let distillation) = plan.objective,
            let count = distillation.topCount
        else { return nil }
        let cache = TeacherCache(
            path: request.checkpointFolder + "/teacher-cache",
            identity: .init(
                fingerprint: plan.fingerprint,
                vocabularySize: model.configuration.vocabularySize,
                length: plan.length,
                count: count
            ),
            capacity: cachePlan.windows,
            log: { reporter.log($0) }
        )
        reporter.log(
            """
            teacher cache: \(cache.windowCount) of at most \(cachePlan.windows) windows are there, \
            \(cachePlan.byteCount / 1_000_000) MB on disk when all are
            """
        )
        return cache
    }

    /// The model to distill from: the job's own, unquantized, unless the job names another.
    private static func teacher(
        of model: LoadedModel,
        _ request: ComputeRequest,
        _ team: ThreadTeam
    ) throws -> Parameters {
        guard let path = request.inputs["/distillation/teacher"] else {
            return model.parameters
        }
        // Rows that only the teacher has are padding, or tokens that the student cannot say.
        return try ModelLoader.parameters(
            of: ModelLoader.open(path: path),
            vocabularySize: model.configuration.vocabularySize,
            team: team
        )
    }

    /// Restores the newest checkpoint; returns the values stored with it.
    private func restore(_ engine: TrainingEngine) -> [String: Double]? {
        let manifest = checkpoints.restoreNewest(
            fingerprint: plan.fingerprint,
            into: engine.stored,
            state: engine.state,
            onSkip: { reporter.log($0) }
        )
        guard let manifest else {
            return nil
        }
        engine.resume(atStep: manifest.step)
        do {
            try checkpoints.history(of: manifest).map(recorder.restore)
        } catch {
            reporter.log("the run's records up to the checkpoint are lost: \(error)")
        }
        reporter.log(
            manifest.step < plan.totalSteps
                ? "resuming from the checkpoint of step \(manifest.step)"
                : "all \(manifest.step) steps are in the checkpoint: exporting without training"
        )
        return manifest.values
    }

    private func train(_ engine: TrainingEngine, values: [String: Double]) throws {
        let reader = WindowReader(
            windows,
            perStep: engine.windowsPerStep,
            length: plan.length,
            steps: engine.stepCount..<max(engine.stepCount, plan.totalSteps),
            threads: plan.workerCount
        )
        var pace = Pace(tokensPerStep: engine.windowsPerStep * plan.length)
        // From here on a stop waits for the step that is under way, and its checkpoint.
        reporter.holdWork(engine.stepCount < plan.totalSteps)
        while engine.stepCount < plan.totalSteps {
            let step = engine.stepCount
            let rate = plan.schedule.rate(step: step)
            let progress = Double(step) / Double(plan.totalSteps)
            let result = try engine.step(
                tokens: reader.read(),
                learningRate: rate,
                progress: progress,
                stageStart: plan.schedule.stageStart(of: step),
                scaleLearningRate: (plan.scaleRate ?? 0) * rate / max(plan.schedule.peak, 1e-300),
                clipLearningRate: plan.clipRate * rate / max(plan.schedule.peak, 1e-300)
            )
            pace.finishStep()
            let place = report(engine.stepCount, result, rate, progress, pace)
            try afterStep(engine, result, values, progress, at: place)
        }
    }

    /// How far the run is, whatever it does there.
    func position(_ step: Int) -> ComputeEvent {
        var event = ComputeEvent(.progress)
        event.step = step
        event.totalSteps = plan.totalSteps
        return event
    }

    private func report(
        _ step: Int,
        _ result: StepResult,
        _ rate: Double,
        _ progress: Double,
        _ pace: Pace
    ) -> ComputeEvent {
        var event = position(step)
        event.phase = JobProgress.trainingPhase
        event.loss = result.loss
        event.learningRate = rate
        event.tokensPerSecond = pace.tokensPerSecond
        event.etaSeconds = pace.secondsPerStep * Double(plan.totalSteps - step)
        event.precision = layerTables[plan.turn(ofStep: step - 1)].precision(at: progress)
        reporter.send(event)
        return event
    }

    /// Metrics, validation and checkpoints where they are due.
    private func afterStep(
        _ engine: TrainingEngine,
        _ result: StepResult,
        _ values: [String: Double],
        _ progress: Double,
        at place: ComputeEvent
    ) throws {
        let step = engine.stepCount
        let isLast = step == plan.totalSteps
        if step % plan.logInterval == 0 || isLast {
            try monitor(engine, result, progress: progress, at: place)
        }
        let isDue = step % plan.validationInterval == 0 && !isLast
        if isDue { try validate(engine, values, at: place) }
        if isLast {
            try saveTrained(engine, values)
        } else if reporter.isStopRequested || step % plan.checkpointInterval == 0 {
            try save(engine, values)
        }
        if reporter.isStopRequested {
            throw AttemptStopped("stopped at step \(step)")
        }
    }

    private func save(_ engine: TrainingEngine, _ values: [String: Double]) throws {
        let name = try checkpoints.save(
            step: engine.stepCount,
            fingerprint: plan.fingerprint,
            parameters: engine.stored,
            state: engine.state,
            values: values,
            history: try recorder.history.jsonLines()
        )
        reporter.checkpoint(step: engine.stepCount, name: name)
        reporter.log("checkpoint of step \(engine.stepCount) written")
    }

    /// Stores the trained weights before anything that can fail is done with them: another attempt
    /// exports without training.
    private func saveTrained(_ engine: TrainingEngine, _ values: [String: Double]) throws {
        do {
            try save(engine, values)
            // What comes now another attempt does again: a stop need not wait for it.
            reporter.holdWork(false)
        } catch {
            guard !reporter.isStopRequested else { throw error }
            // An export takes less room than a checkpoint, and may go to where there is some.
            reporter.log("the trained weights are in no checkpoint: \(error)")
        }
    }

    /// Live quantization statistics: the worst layers, and every warning, in each format.
    private func monitor(
        _ engine: TrainingEngine,
        _ result: StepResult,
        progress: Double,
        at place: ComputeEvent
    ) throws {
        let taken = plan.turn(ofStep: engine.stepCount - 1)
        for (turn, recipe) in plan.turns.enumerated() {
            let format = plan.formatName(ofTurn: turn)
            let layers = try LayerReport.measure(
                engine.parameters,
                recipe: recipe,
                progress: progress,
                team: team
            )
            let metrics = TrainingMetrics(
                turn == taken ? result : nil,
                layers: layers,
                format: format
            )
            try recorder.step(metrics, at: place, isTaken: turn == taken)
            let name = format.map { " in \($0)" } ?? ""
            for layer in layers {
                for warning in layer.warnings {
                    reporter.log("step \(engine.stepCount): \(layer.module)\(name): \(warning)")
                }
            }
        }
    }
}

/// The recent speed of steps: a moving average that forgets the first, slow ones.
private struct Pace {
    let tokensPerStep: Int
    private var last = ContinuousClock.now
    private(set) var secondsPerStep = 0.0

    init(tokensPerStep: Int) {
        self.tokensPerStep = tokensPerStep
    }

    var tokensPerSecond: Double { Double(tokensPerStep) / max(secondsPerStep, 1e-9) }

    mutating func finishStep() {
        let now = ContinuousClock.now
        let seconds = (now - last) / .seconds(1)
        last = now
        secondsPerStep = secondsPerStep == 0 ? seconds : 0.8 * secondsPerStep + 0.2 * seconds
    }
}
