internal import ComputeKit
internal import Formats
internal import Protocol
internal import ServiceKit
internal import Transformer

/// The steps of a training, and what is done between them.
extension TrainingLoop {
    /// Takes the steps that are left.
    ///
    /// - Throws: ``RollBack``, and `ComputeFailure`: `diverged`, `stopped` once a checkpoint is written.
    func train(
        _ engine: TrainingEngine,
        values: [String: Double],
        _ control: inout RunControl
    ) throws {
        let reader = WindowReader(
            windows,
            perStep: engine.windowsPerStep,
            length: plan.length,
            steps: engine.stepCount..<max(engine.stepCount, plan.totalSteps),
            threads: plan.workerCount
        )
        recorder.windowsPerStep = engine.windowsPerStep
        var pace = Pace(tokensPerStep: engine.windowsPerStep * plan.length)
        // From here on a stop waits for the step that is under way, and its checkpoint.
        reporter.holdWork(!control.isOver(at: engine.stepCount))
        if control.lacksValidation(at: engine.stepCount) {
            // The attempt before was stopped in it.
            try judge(engine, values, &control, at: position(engine.stepCount))
        }
        while !control.isOver(at: engine.stepCount) {
            let step = engine.stepCount
            let order = plan.order(ofStep: step, rateFactor: control.rateFactor)
            if plan.isMeasured(step + 1) {
                try monitor.remember(
                    engine.parameters,
                    recipe: plan.turns[plan.turn(ofStep: step)],
                    progress: order.progress
                )
            }
            let result: StepResult
            do {
                let tokens = try reader.read()
                ranks?.step(order, tokens, count: engine.windowsPerStep * plan.length)
                result = try engine.step(tokens, order)
            } catch let error as TransformerError where error.code == .diverged {
                let found = Divergence(step: step + 1, cause: .step)
                throw try remedy(for: found, saying: error.message, control)
            }
            pace.finishStep()
            let place = report(engine.stepCount, result, order, pace)
            let diverged = control.take(
                result.hasLoss ? result.loss : nil,
                step: engine.stepCount,
                turn: plan.turn(ofStep: step),
                stageStart: order.stageStart
            )
            if let diverged { throw try remedy(for: diverged, engine, control, order.progress) }
            try afterStep(engine, result, values, &control, order.progress, at: place)
        }
    }

    private func report(
        _ step: Int,
        _ result: StepResult,
        _ order: StepOrder,
        _ pace: Pace
    ) -> ComputeEvent {
        var event = position(step)
        event.phase = JobProgress.trainingPhase
        event.loss = result.hasLoss ? result.loss : nil
        event.learningRate = order.learningRate
        event.tokensPerSecond = pace.tokensPerSecond
        event.etaSeconds = pace.secondsPerStep * Double(plan.totalSteps - step)
        event.precision = layerTables[plan.turn(ofStep: step - 1)].precision(at: order.progress)
        reporter.send(event)
        return event
    }

    /// Metrics, validation and checkpoints where they are due.
    private func afterStep(
        _ engine: TrainingEngine,
        _ result: StepResult,
        _ values: [String: Double],
        _ control: inout RunControl,
        _ progress: Double,
        at place: ComputeEvent
    ) throws {
        let step = engine.stepCount
        if plan.isMeasured(step) {
            try measureLayers(engine, result, progress: progress, at: place)
        }
        if control.rules.isValidationDue(step) {
            try judge(engine, values, &control, at: place)
        } else {
            try keep(engine, values, &control, isBest: false)
        }
    }

    /// Validates, keeps what the validation asks for, and stops where that is asked for.
    private func judge(
        _ engine: TrainingEngine,
        _ values: [String: Double],
        _ control: inout RunControl,
        at place: ComputeEvent
    ) throws {
        let step = engine.stepCount
        let loss: Double?
        do {
            loss = try validate(engine, values, at: place)
        } catch let error as TransformerError where error.code == .nonFinite {
            let found = Divergence(step: step, cause: .validation)
            throw try remedy(for: found, saying: "step \(step): \(error.message)", control)
        }
        // Another attempt makes it.
        guard let loss else { return try keep(engine, values, &control, isBest: false) }
        let isBest = control.validate(loss, step: step)
        if let end = control.end { reporter.log(sentence(of: end, control)) }
        try keep(engine, values, &control, isBest: isBest && control.rules.keepsBest)
    }

    /// Writes a checkpoint where one is due, and stops where that is asked for.
    private func keep(
        _ engine: TrainingEngine,
        _ values: [String: Double],
        _ control: inout RunControl,
        isBest: Bool
    ) throws {
        let step = engine.stepCount
        if control.isOver(at: step) {
            ranks?.collect(engine)
            try saveTrained(engine, values, &control, isBest: isBest)
        } else if reporter.isStopRequested || control.isCheckpointDue(step, isBest: isBest) {
            ranks?.collect(engine)
            try checkpoints.save(engine, values, &control, isBest: isBest)
        }
        if reporter.isStopRequested {
            throw AttemptStopped("stopped at step \(step)")
        }
    }

    /// Stores the trained weights before anything that can fail is done with them: another attempt
    /// exports without training.
    private func saveTrained(
        _ engine: TrainingEngine,
        _ values: [String: Double],
        _ control: inout RunControl,
        isBest: Bool
    ) throws {
        do {
            try checkpoints.save(engine, values, &control, isBest: isBest)
            // What comes now another attempt does again: a stop need not wait for it.
            reporter.holdWork(false)
        } catch {
            guard !reporter.isStopRequested else { throw error }
            // An export takes less room than a checkpoint, and may go to where there is some.
            reporter.log("the trained weights are in no checkpoint: \(error)")
        }
    }

    /// Live quantization statistics, in the format that the step took.
    private func measureLayers(
        _ engine: TrainingEngine,
        _ result: StepResult,
        progress: Double,
        at place: ComputeEvent
    ) throws {
        let turn = plan.turn(ofStep: engine.stepCount - 1)
        let layers = try monitor.measure(
            engine.parameters,
            recipe: plan.turns[turn],
            progress: progress,
            step: engine.stepCount,
            gradientNorms: engine.gradientNorms,
            team: team
        )
        try recorder.step(result, layers, at: place, in: plan.formatName(ofTurn: turn))
    }
}
