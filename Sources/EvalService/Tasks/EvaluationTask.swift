internal import Devices
internal import Formats
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// One task of an evaluation job: it runs a model and says what it found.
protocol EvaluationTask {
    /// What the task will do with a model, known before its weights are read.
    ///
    /// - Throws: What the numeric modules throw.
    func effort(on plan: EvaluationSubject.Plan) throws -> TaskEffort

    /// Measures a model.
    ///
    /// - Throws: ``ComputeFailure`` and what the numeric modules throw.
    func run(_ subject: EvaluationSubject) throws -> [Measurement]

    /// How the models that were run compare with the first of the job's `labels`; none of tasks without
    /// questions.
    func comparisons(of labels: [String]) -> [Comparison]
}

extension EvaluationTask {
    func comparisons(of labels: [String]) -> [Comparison] { [] }
}

/// A model that is evaluated, with what its tasks share.
final class EvaluationSubject {
    /// The model's name in the job.
    let label: String
    let model: LoadedModel
    /// How inputs, keys and values are rounded.
    let activations: ActivationQuantization
    let team: ThreadTeam
    private let progress: EvaluationProgress
    /// Perplexity and accuracy on the same windows are one pass over them.
    private var measured: [EvaluateSpec.TextWindows: PerplexityResult] = [:]

    init(
        label: String,
        model: LoadedModel,
        activations: ActivationQuantization,
        team: ThreadTeam,
        progress: EvaluationProgress
    ) {
        self.label = label
        self.model = model
        self.activations = activations
        self.team = team
        self.progress = progress
    }

    /// A model before its weights are read.
    final class Plan {
        private let source: any ModelSource
        private let tokens: TextTokens
        /// Texts that have been counted: perplexity and accuracy on the same windows are one effort.
        private var counted: Set<EvaluateSpec.TextWindows> = []

        var parameterCount: Int { ParameterLayout(configuration: source.configuration).totalCount }

        /// Opens the model at `path`.
        init(path: String) throws {
            source = try ModelLoader.open(path: path)
            tokens = try TextTokens(source.tokenizer(), source.configuration, source.files)
        }

        /// The windows of the text at `path`; none where they are another task's, too.
        func effort(of windows: EvaluateSpec.TextWindows, path: String) throws -> TaskEffort {
            guard counted.insert(windows).inserted else {
                return TaskEffort(count: 0, tokenCount: windows.sequenceLength)
            }
            return try separateEffort(of: windows, path: path)
        }

        /// The same where nothing is shared with other tasks.
        func separateEffort(
            of windows: EvaluateSpec.TextWindows,
            path: String
        ) throws -> TaskEffort {
            let length = windows.sequenceLength
            let file = try TextFile(path: path, key: windows.textKey)
            let wanted = windows.windowCount ?? .max
            let count = try TextCorpus.windowCount(of: length, in: [file], upTo: wanted, tokens)
            return TaskEffort(count: min(count, wanted), tokenCount: length)
        }
    }

    /// Says, at times, that `done` of a step's `tokenCount` tokens are through; throws if the job is to
    /// stop.
    func advance(_ task: String, _ done: Int, of tokenCount: Int) throws {
        try progress.advance(
            { "\(label): \(task) tokens \(done)/\(tokenCount)" },
            tokenCount: done,
            parameterCount: model.parameters.layout.totalCount
        )
    }

    /// Says something about the model in the job's log.
    func log(_ message: String) { progress.log("\(label): \(message)") }

    /// Says that a step of a task is done: one of `count`, of so many tokens.
    func finishStep(_ task: String, _ step: Int, of count: Int, tokenCount: Int) throws {
        try progress.finishStep(
            "\(label): \(task) \(step)/\(count)",
            tokenCount: tokenCount,
            parameterCount: model.parameters.layout.totalCount
        )
    }

    /// The tokens of the text at `path`, a window at least.
    func tokens(of windows: EvaluateSpec.TextWindows, path: String) throws -> [Int32] {
        let tokens = try TextCorpus.load(
            paths: [path],
            key: windows.textKey,
            TextTokens(model.tokenizer, model.configuration, model.files)
        )
        try TextCorpus.requireWindow(
            of: windows.sequenceLength,
            tokenCount: tokens.count,
            paths: [windows.text]
        )
        return tokens
    }

    /// The model's result on windows of the text at `path`.
    func result(of windows: EvaluateSpec.TextWindows, path: String) throws -> PerplexityResult {
        if let result = measured[windows] { return result }
        let tokens = try tokens(of: windows, path: path)
        let length = windows.sequenceLength
        let count = min(windows.windowCount ?? .max, tokens.count / length)
        let evaluator = try PerplexityEvaluator(
            parameters: model.parameters,
            recipe: .none,
            activations: activations,
            length: length,
            device: CPUDevice(team: team)
        )
        let result = try evaluator.evaluate(tokens: tokens, windows: count) { done in
            try finishStep(windows.text, done, of: count, tokenCount: length)
        }
        measured[windows] = result
        return result
    }
}
