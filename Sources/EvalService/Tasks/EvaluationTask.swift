internal import Formats
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// One task of an evaluation job: it runs a model and says what it found.
protocol EvaluationTask {
    /// Measures a model.
    ///
    /// - Throws: ``ComputeFailure`` and what the numeric modules throw.
    func run(_ subject: EvaluationSubject) throws -> [Measurement]
}

/// A model that is evaluated, with what its tasks share.
final class EvaluationSubject {
    /// The model's name in the job.
    let label: String
    let model: LoadedModel
    /// How inputs, keys and values are rounded.
    let activations: ActivationQuantization
    let team: ThreadTeam
    let reporter: ComputeReporter
    /// Perplexity and accuracy on the same windows are one pass over them.
    private var measured: [EvaluateSpec.TextWindows: PerplexityResult] = [:]

    init(
        label: String,
        model: LoadedModel,
        activations: ActivationQuantization,
        team: ThreadTeam,
        reporter: ComputeReporter
    ) {
        self.label = label
        self.model = model
        self.activations = activations
        self.team = team
        self.reporter = reporter
    }

    /// The model's result on windows of the text at `path`.
    func result(of windows: EvaluateSpec.TextWindows, path: String) throws -> PerplexityResult {
        if let result = measured[windows] { return result }
        let tokens = try TextCorpus.load(
            paths: [path],
            key: windows.textKey,
            TextTokens(model.tokenizer, model.configuration)
        )
        let length = windows.sequenceLength
        try TextCorpus.requireWindow(of: length, tokens: tokens, paths: [windows.text])
        let count = min(windows.windowCount ?? .max, tokens.count / length)
        let evaluator = try PerplexityEvaluator(
            parameters: model.parameters,
            recipe: .none,
            activations: activations,
            length: length,
            team: team
        )
        let result = try evaluator.evaluate(tokens: tokens, windows: count) { done in
            reporter.progress(phase: "\(label): \(windows.text)", step: done, of: count)
            try reporter.checkStop()
        }
        measured[windows] = result
        return result
    }
}
