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
    let windows: any TrainingWindows
    let documents: DocumentRules?
    let checkpoints: RunCheckpoints
    let start: StartWeights
    let recorder: RunRecorder
    let monitor = LayerMonitor()
    /// Why this run begins where it does, if one before it diverged.
    let rollBack: RollBack?
    /// The processes that compute this job together; nil for this one alone.
    let ranks: LeadingRank?
    /// By turn; one where the training is for one format.
    let layerTables: [LayerTable]
    let warnings: [String]

    /// Prepares a run; `rollBack`: why it goes on from where it does, if it went too far before.
    ///
    /// `recorder`: That of the attempt.
    init(
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        _ recorder: RunRecorder,
        after rollBack: RollBack? = nil,
        ranks: LeadingRank? = nil
    ) throws {
        self.ranks = ranks
        self.request = request
        self.reporter = reporter
        self.rollBack = rollBack
        self.recorder = recorder
        let (spec, warnings) = try TrainingPlan.specification(request)
        team = ThreadTeam(threadCount: request.threads)
        // Until the training begins: an earlier attempt, here or elsewhere, may have come to this step.
        let reached = TrainingPlan.reachedStep(in: request.checkpointFolder)
        reporter.begin(at: reached, of: spec.trainer.stepCount ?? 0)
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
        if let ranks { reporter.log(ranks.sentence(request, spec.trainer)) }
        texts = try Self.texts(spec, request, reporter, model, team)
        plan = TrainingPlan(
            spec,
            warnings: warnings,
            specText: request.spec,
            trainTokenCount: texts.training.count
        )
        checkpoints = RunCheckpoints(
            folder: request.checkpointFolder,
            fingerprint: plan.fingerprint,
            recorder: recorder,
            reporter: reporter
        )
        windows = try texts.windows(plan)
        documents = spec.data.documentRules(model.configuration, isMarked: texts.isMarked)
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

    private func tellRecipe() {
        // What went back was warned of already.
        for warning in warnings where rollBack == nil {
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
        let ranks = request.ranksPerNode ?? 1
        let (byteCount, isHuge) = plan.byteCount.multipliedReportingOverflow(by: ranks)
        guard isHuge || byteCount > limit.byteCount else {
            let each = ranks > 1 ? "; so much at most for each of \(ranks) ranks" : ""
            reporter.log(sentence + each)
            return
        }
        throw ComputeFailure(
            .exceedsMemory,
            """
            this worker has \(MemoryPlan.text(limit.byteCount)) (\(limit.name)), and the training takes \
            \(ranks > 1 ? "for each of \(ranks) ranks " : "")\(sentence); lower micro_batch_size or seq_length, freeze parameters, or let a larger \
            worker take it
            """
        )
    }

    /// Trains, exports and answers.
    ///
    /// - Throws: ``RollBack`` where the run has to go on from an earlier step.
    func run() throws {
        let trained = try trainedModel()
        // The engine is gone with its memory; adapters, too, need what they were added to no more.
        model.parameters.release(model.parameters.layout.entries)
        try finish(trained)
    }

    /// Trains to the end; what is exported of it.
    private func trainedModel() throws -> TrainedModel {
        // The student's own weights; `model` stays the unquantized teacher and yardstick. What adapters are
        // added to stays, too, and may be the same.
        let student = plan.sharesBase ? model.parameters : try model.parameters.copy(as: shape)
        let records = teacherCache()
        let teacher =
            plan.isDistilling ? try Self.teacher(of: model, request, team) : nil
        recorder.speed = comparedSpeed(teacher: teacher?.configuration)
        let engine = try engine(student, teacher, records)
        let restored = checkpoints.restore(engine)
        var control = try control(restored)
        // A run that goes on from a checkpoint is past its start.
        if restored == nil {
            try start.load(into: student)
            engine.resume(atStep: 0)
        }
        let kept = restored.map { RunControl.others(in: $0.values) }
        let cache = try start.cacheRanges(of: student, kept: kept)
        try engine.roundCache(cache)
        let inputs = try start.inputRanges(of: student, kept: kept)
        if let inputs { try engine.clipInputs(at: inputs) }
        var before = try baseline(
            student,
            (cache, inputs),
            restored: kept,
            step: engine.stepCount
        )
        TrainingResults.keep(cache, in: &before)
        TrainingResults.keep(inputs, in: &before)
        let resumed = engine.stepCount
        let isOver = control.isOver(at: engine.stepCount)
        if !isOver || control.lacksValidation(at: engine.stepCount) {
            try ranks?.begin(
                briefing(engine.stored, teacher, cache, inputs),
                teacher: teacher,
                engine
            )
        }
        releaseModel(engine, isOver: isOver)
        try train(engine, values: before, &control)
        ranks?.rest()
        tellEnd(of: engine, records)
        return try exported(of: engine, &control, before: before, resumedFrom: resumed)
    }

    /// What the run's speed is compared with, found before the engine's memory is taken.
    private func comparedSpeed(teacher: ModelConfiguration?) -> ComparedSpeed {
        let work = TrainingWork(student: shape, teacher: teacher, length: plan.length)
        let rate = CPUDevice(team: team, operands: plan.operands).productRate(
            rows: plan.batchSize * plan.length,
            inputs: shape.hiddenSize,
            outputs: shape.intermediateSize
        )
        reporter.log(
            String(
                format: "products of this model reach %.0f GFLOP/s; a token takes %.2f GFLOP",
                rate / 1e9,
                work.operationsPerToken / 1e9
            )
        )
        return ComparedSpeed(work: work, productRate: rate)
    }

    /// How the run is controlled from where it goes on.
    private func control(
        _ restored: (step: Int, values: [String: Double])?
    ) throws -> RunControl {
        var control = RunControl(plan.control, values: restored?.values ?? [:])
        if let step = restored?.step {
            if step == plan.totalSteps {
                reporter.log(
                    "all \(step) steps are in the checkpoint: exporting without training"
                )
            } else if let end = control.end {
                reporter.log("\(sentence(of: end, control)): exporting without training")
            } else {
                reporter.log("resuming from the checkpoint of step \(step)")
            }
        }
        if let rollBack {
            control.rollBack = rollBack
            try recorder.keep(rollBack, step: restored?.step ?? 0)
        }
        return control
    }

    /// The weights that the job asks for: the last ones, or those of the best validation if they are whole.
    private func exported(
        of engine: TrainingEngine,
        _ control: inout RunControl,
        before: [String: Double],
        resumedFrom resumed: Int
    ) throws -> TrainedModel {
        let taken = engine.stepCount
        var step = control.exportedStep(of: taken)
        if step != taken, try !checkpoints.restoreBest(engine, step: step) {
            control.lostBest = step
            step = taken
        }
        if let best = control.best, plan.control.judgesValidations {
            let use = step == best.step ? "it is exported" : "step \(step) is exported"
            reporter.log("the best validation is that of step \(best.step) of \(taken): \(use)")
        }
        return TrainedModel(
            parameters: engine.trained,
            inputs: engine.inputRanges,
            before: before,
            control: control,
            steps: taken,
            resumedFrom: resumed,
            exportedStep: step,
            endedEarly: control.end.map { sentence(of: $0, control) }
        )
    }

    /// Why a run ended before its last step.
    func sentence(of end: RunControl.EarlyEnd, _ control: RunControl) -> String {
        let place = "ended early at step \(end.step) of \(plan.totalSteps)"
        switch end.cause {
        case .patience:
            let rule = plan.control.earlyStopping
            let best = control.best.map { " than that of step \($0.step)" } ?? ""
            return "\(place): \(rule?.patience ?? 0) validations in a row were no better\(best)"
        case .threshold:
            return "\(place): the validation's loss is below stopping_threshold"
        }
    }

    /// What other ranks need to know.
    private func briefing(
        _ stored: Parameters,
        _ teacher: Parameters?,
        _ cache: CacheRanges?,
        _ inputs: InputRanges?
    ) -> RankBriefing {
        RankBriefing(
            request: request,
            trainTokenCount: texts.training.count,
            student: stored.configuration,
            teacher: teacher?.configuration,
            documents: documents,
            scales: stored.fixedScales.mapValues { .init($0) },
            keys: cache?.keys,
            values: cache?.values,
            inputs: inputs?.amax,
            processor: RankBriefing.processor
        )
    }

    private func engine(
        _ student: Parameters,
        _ teacher: Parameters?,
        _ records: TeacherCache?
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: student,
            teacher: teacher,
            settings: plan.settings(documents),
            isFrozen: { plan.isFrozen($0) },
            records: records,
            ranks: ranks?.ranks,
            device: CPUDevice(team: team, operands: plan.operands)
        )
    }

    /// Gives back what steps do not read of the model as it came: it was measured, and the student has
    /// weights of its own.
    private func releaseModel(_ engine: TrainingEngine, isOver: Bool) {
        guard !isOver else { return }
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
        if let traffic = engine.traffic, traffic.steps > 0 {
            reporter.log(traffic.sentence)
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
    static func teacher(
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

    /// How far the run is, whatever it does there.
    func position(_ step: Int) -> ComputeEvent {
        var event = ComputeEvent(.progress)
        event.step = step
        event.totalSteps = plan.totalSteps
        return event
    }
}
