internal import ComputeKit
internal import Devices
internal import Formats
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// What a training is compared with, and how far it has come, in each of its formats.
extension TrainingLoop {
    /// Validation of the model as it came, and rounded without training: what QAT is compared with.
    func baseline(
        _ student: Parameters,
        _ ranges: (cache: CacheRanges?, inputs: InputRanges?),
        restored: [String: Double]?,
        step: Int
    ) throws -> [String: Double] {
        if let restored, isComplete(restored) { return restored }
        let place = position(step)
        var values: [String: Double] = [:]
        let unquantized = try validate(model.parameters, .none, as: .baseline, at: place)
        TrainingResults.keep(unquantized, as: .baseline, in: &values)
        let rounded = try roundedWithoutTraining(ranges, at: place)
        for (turn, result) in rounded.enumerated() {
            let format = plan.formatName(ofTurn: turn)
            TrainingResults.keep(result, as: .ptq, format: format, in: &values)
            reporter.log(
                String(
                    format: "before training: perplexity %.3f, quantized %.3f",
                    unquantized.perplexity,
                    result.perplexity
                ) + (format.map { " in \($0)" } ?? "")
            )
        }
        // Only at the first step are the student's weights those it started from.
        for turn in plan.turns.indices where start.isNamed && step == 0 {
            let format = plan.formatName(ofTurn: turn)
            let start = try validate(
                student,
                turn: turn,
                activations: simulated(ranges.cache, ranges.inputs),
                as: .start,
                at: place
            )
            TrainingResults.keep(start, as: .start, format: format, in: &values)
            reporter.log(
                String(format: "start: perplexity %.3f", start.perplexity)
                    + (format.map { " in \($0)" } ?? "")
            )
        }
        let formats: [String?] = plan.turns.indices.compactMap(plan.formatName)
        for format in [nil] + formats {
            let found = TrainingResults.perplexities(in: values, format: format)
            if !found.isEmpty { recorder.keep(step: step, found, in: format) }
        }
        return values
    }

    /// Whether values of a checkpoint say all that training is compared with.
    private func isComplete(_ values: [String: Double]) -> Bool {
        values[TrainingResults.Earlier.baseline.rawValue] != nil
            && plan.turns.indices.allSatisfy { turn in
                let key = TrainingResults.Earlier.ptq.key(in: plan.formatName(ofTurn: turn))
                return values[key] != nil
            }
    }

    /// Validation of the model as it came, rounded by each turn's recipe.
    private func roundedWithoutTraining(
        _ ranges: (cache: CacheRanges?, inputs: InputRanges?),
        at place: ComputeEvent
    ) throws -> [PerplexityResult] {
        try start.withRounding(of: model.parameters) { parameters in
            let isNamed = start.isNamed
            let cache = isNamed ? try start.cacheRanges(of: parameters, kept: nil) : ranges.cache
            let inputs = isNamed ? try start.inputRanges(of: parameters, kept: nil) : ranges.inputs
            return try plan.turns.indices.map { turn in
                try validate(
                    parameters,
                    turn: turn,
                    activations: simulated(cache, inputs),
                    as: .rounded,
                    at: place
                )
            }
        }
    }

    /// How training rounds what flows through the model.
    func simulated(
        _ cache: CacheRanges?,
        _ inputs: InputRanges?
    ) -> ActivationQuantization {
        ActivationQuantization(plan.recipe, of: model.configuration)
            .with(cache: cache).with(inputs: inputs)
    }

    /// Validates between steps; the mean loss per target, in nats, over the formats.
    ///
    /// Nil where a stop left it, for a checkpoint has to be written in time: whoever goes on from that makes it
    /// again.
    func validate(
        _ engine: TrainingEngine,
        _ values: [String: Double],
        at place: ComputeEvent
    ) throws -> Double? {
        var losses = 0.0
        var found: [(format: String?, perplexity: Double)] = []
        do {
            for turn in plan.turns.indices {
                let result = try validate(
                    engine.trained,
                    turn: turn,
                    activations: simulated(
                        TrainingResults.cacheRanges(in: values),
                        engine.inputRanges
                    ),
                    as: .interval,
                    at: place
                )
                losses += result.meanLoss
                found.append((plan.formatName(ofTurn: turn), result.perplexity))
            }
        } catch is AttemptStopped {
            reporter.log("step \(engine.stepCount): stopped in a validation, which is made again")
            return nil
        }
        for (format, perplexity) in found {
            try recorder.validation(step: engine.stepCount, perplexity: perplexity, in: format)
        }
        return losses / Double(plan.turns.count)
    }

    /// Validates a model as a turn's recipe rounds it.
    func validate(
        _ parameters: Parameters,
        turn: Int,
        activations: ActivationQuantization,
        as validation: Validation,
        at place: ComputeEvent
    ) throws -> PerplexityResult {
        try validate(
            parameters,
            plan.turns[turn],
            activations: activations,
            as: validation,
            in: plan.formatName(ofTurn: turn),
            at: place
        )
    }

    /// Validates a model; `place` stays the run's step, the windows are the phase's: "validating 3/16".
    ///
    /// `format`: What the model is rounded to, of a training for several formats.
    func validate(
        _ parameters: Parameters,
        _ recipe: QuantizationRecipe,
        activations: ActivationQuantization? = nil,
        as validation: Validation,
        in format: String? = nil,
        at place: ComputeEvent
    ) throws -> PerplexityResult {
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: recipe,
            activations: activations,
            length: plan.length,
            documents: documents,
            device: CPUDevice(team: team)
        )
        let name = validation.rawValue + (format.map { " \($0)" } ?? "")
        let windows = plan.validationWindows(of: texts.validation.count / plan.length)
        do {
            return try evaluator.evaluate(texts.validation, windows: windows) { done in
                var event = place
                event.phase = "\(name) \(done)/\(windows)"
                reporter.send(event)
                if reporter.isStopRequested {
                    throw AttemptStopped("stopped in \(name)")
                }
            }
        } catch let error as TransformerError where error.code == .invalidTokens {
            throw ComputeFailure(.userError, "\(validated): \(error.message)")
        }
    }

    /// What is validated on: its place in the job, and its names.
    private var validated: String {
        let data = plan.spec.data
        if data.validatesOnShare { return "$.data.splits_string: the second share" }
        let names = data.validation.isEmpty ? data.training : data.validation
        let list = names.prefix(8).joined(separator: ", ")
        return "$.data.\(data.validation.isEmpty ? "train" : "validation"): \(list)"
    }
}
