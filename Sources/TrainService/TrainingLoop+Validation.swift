internal import ComputeKit
internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Protocol
internal import ServiceKit
internal import Transformer

/// What a training is compared with, before it, in it and after it.
extension TrainingLoop {
    /// Validation of the model as it came, and rounded without training: what QAT is compared with.
    func baseline(
        _ student: Parameters,
        _ ranges: (cache: CacheRanges?, inputs: InputRanges?),
        restored: [String: Double]?,
        step: Int
    ) throws -> [String: Double] {
        if let restored, restored["baseline"] != nil, restored["ptq"] != nil {
            return restored
        }
        let place = position(step)
        let unquantized = try validate(model.parameters, .none, as: .baseline, at: place)
        let rounded = try start.withRounding(of: model.parameters) {
            let isNamed = start.isNamed
            let cache = isNamed ? try start.cacheRanges(of: $0, kept: nil) : ranges.cache
            let inputs = isNamed ? try start.inputRanges(of: $0, kept: nil) : ranges.inputs
            return try validate(
                $0,
                plan.recipe,
                activations: simulated(cache, inputs),
                as: .rounded,
                at: place
            )
        }
        var values: [String: Double] = [:]
        TrainingResults.keep(unquantized, as: .baseline, in: &values)
        TrainingResults.keep(rounded, as: .ptq, in: &values)
        reporter.log(
            String(
                format: "before training: perplexity %.3f, quantized %.3f",
                unquantized.perplexity,
                rounded.perplexity
            )
        )
        // Only at the first step are the student's weights those it started from.
        if start.isNamed, step == 0 {
            let start = try validate(
                student,
                plan.recipe,
                activations: simulated(ranges.cache, ranges.inputs),
                as: .start,
                at: place
            )
            TrainingResults.keep(start, as: .start, in: &values)
            reporter.log(String(format: "start: perplexity %.3f", start.perplexity))
        }
        recorder.keep(
            step: step,
            perplexities: values.filter { TrainingResults.Earlier(rawValue: $0.key) != nil }
        )
        return values
    }

    /// How training rounds what flows through the model.
    func simulated(
        _ cache: CacheRanges?,
        _ inputs: InputRanges?
    ) -> ActivationQuantization {
        ActivationQuantization(plan.recipe, of: model.configuration)
            .with(cache: cache).with(inputs: inputs)
    }

    /// Validates between steps; a stop leaves it where it is, for a checkpoint has to be written in time.
    func validate(
        _ engine: TrainingEngine,
        _ values: [String: Double],
        at place: ComputeEvent
    ) throws {
        do {
            let found = try validate(
                engine.trained,
                plan.recipe,
                activations: simulated(
                    TrainingResults.cacheRanges(in: values),
                    engine.inputRanges
                ),
                as: .interval,
                at: place
            )
            try recorder.validation(step: engine.stepCount, perplexity: found.perplexity)
        } catch let failure as ComputeFailure where failure.reason == .stopped {
            reporter.log("step \(engine.stepCount): stopped in a validation, which is left out")
        }
    }

    /// Validates a model; `place` stays the run's step, the windows are the phase's: "validating 3/16".
    func validate(
        _ parameters: Parameters,
        _ recipe: QuantizationRecipe,
        activations: ActivationQuantization? = nil,
        as validation: Validation,
        at place: ComputeEvent
    ) throws -> PerplexityResult {
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: recipe,
            activations: activations,
            length: plan.length,
            device: CPUDevice(team: team)
        )
        let windows = min(plan.validationWindows, validationTokens.count / plan.length)
        return try evaluator.evaluate(tokens: validationTokens, windows: windows) { done in
            var event = place
            event.phase = "\(validation.rawValue) \(done)/\(windows)"
            reporter.send(event)
            if reporter.isStopRequested {
                throw ComputeFailure(.stopped, "stopped in \(validation.rawValue)")
            }
        }
    }
}
