internal import Devices
internal import Formats
internal import Inference
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// A model that is evaluated, with what its tasks share.
///
/// Its weights are read when a task asks for them, in the form that it asks for.
final class EvaluationSubject {
    /// The model's name in the job.
    let label: String
    /// How inputs, keys and values are rounded.
    let activations: ActivationQuantization
    let team: ThreadTeam
    private let source: any ModelSource
    private let progress: EvaluationProgress
    private var loaded: LoadedModel?
    /// Perplexity and accuracy on the same windows are one pass over them.
    private var measured: [EvaluateSpec.TextWindows: MeasuredWindows] = [:]

    /// The shape.
    var configuration: ModelConfiguration { source.configuration }
    /// Bytes of the tensors as stored.
    var storedByteCount: Int { source.storedByteCount }

    /// Opens the model at `path`; `roundsActivations`: As its files say, or not at all.
    ///
    /// - Throws: ``ModelFileError``; `ComputeFailure` of activations that are not computed.
    init(
        label: String,
        path: String,
        roundsActivations: Bool,
        team: ThreadTeam,
        progress: EvaluationProgress
    ) throws {
        self.label = label
        self.team = team
        self.progress = progress
        source = try ModelLoader.open(path: path)
        do {
            activations = try roundsActivations ? source.activations.complete() : .none
        } catch let error as ModelFileError {
            throw ComputeFailure(
                .userError,
                "\(error.message); \"activations\": \"none\" evaluates the weights alone"
            )
        }
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

    /// The model with its weights in FP32, for tasks that look at every position of a text.
    ///
    /// - Throws: ``ModelFileError``.
    func model() throws -> LoadedModel {
        if let loaded { return loaded }
        let model = try ModelLoader.load(source, team: team)
        loaded = model
        return model
    }

    /// The model's tokenizer.
    ///
    /// - Throws: ``ModelFileError``.
    func tokenizer() throws -> Tokenizer { try source.tokenizer() }

    /// Texts behind prompts, many at a time, in the order of requests; each is a step of the task.
    ///
    /// `length`: Tokens of the longest prompt and its text; `tokenCount`: what a step counts for.
    ///
    /// - Throws: ``ModelFileError``; ``TransformerError``; `ComputeFailure` of requests that cannot be served.
    func write(
        _ requests: [GenerationRequest],
        length: Int,
        task: String,
        tokenCount: Int
    ) throws -> [WrittenText] {
        let engine = try engine(
            EngineOptions(
                length: min(length, configuration.maximumPositions),
                sequences: min(max(requests.count, 1), Self.sequences),
                cacheBytes: Self.cacheBytes
            )
        )
        for request in requests {
            guard let objection = engine.objection(to: request) else { continue }
            throw ComputeFailure(.userError, "\(label): \(task): \(objection)")
        }
        var texts = [WrittenText?](repeating: nil, count: requests.count)
        var done = 0
        try engine.write(requests) { event in
            switch event {
            case .text(let place, let text):
                texts[place] = text
                done += 1
                try finishStep(task, done, of: requests.count, tokenCount: tokenCount)
            case .pass(let openTokens, let openTexts):
                let mean = openTokens / max(openTexts, 1)
                try advance(task, min(mean, tokenCount), of: tokenCount)
            }
        }
        return texts.compactMap(\.self)
    }

    /// Texts that are written at once: more gain little, and each takes pages.
    private static let sequences = 16

    /// The model with its weights as they are stored, for tasks that write texts.
    ///
    /// - Throws: ``ModelFileError``; ``TransformerError``.
    func engine(_ options: EngineOptions) throws -> InferenceEngine {
        try LoadedEngine(source, options: options, activations: activations, team: team).engine
    }

    /// What keys and values of texts that are written may take; more texts than fit wait.
    private static let cacheBytes = 1 << 30

    /// Says, at times, that `done` of a step's `tokenCount` tokens are through; throws if the job is to
    /// stop.
    func advance(_ task: String, _ done: Int, of tokenCount: Int) throws {
        try progress.advance(
            { "\(label): \(task) tokens \(done)/\(tokenCount)" },
            tokenCount: done,
            parameterCount: parameterCount
        )
    }

    /// Says, at times, what is done beside steps; throws if the job is to stop.
    func say(_ what: String) throws {
        try progress.advance(
            { "\(label): \(what)" },
            tokenCount: 0,
            parameterCount: parameterCount
        )
    }

    private var parameterCount: Int { ParameterLayout(configuration: configuration).totalCount }

    /// Says something about the model in the job's log.
    func log(_ message: String) { progress.log("\(label): \(message)") }

    /// Says that a step of a task is done: one of `count`, of so many tokens.
    func finishStep(_ task: String, _ step: Int, of count: Int, tokenCount: Int) throws {
        try progress.finishStep(
            "\(label): \(task) \(step)/\(count)",
            tokenCount: tokenCount,
            parameterCount: parameterCount
        )
    }

    /// The tokens of the text at `path`, a window at least.
    func tokens(of windows: EvaluateSpec.TextWindows, path: String) throws -> [Int32] {
        let model = try model()
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

    /// What the model comes to on each window of the text at `path`.
    func measure(_ windows: EvaluateSpec.TextWindows, path: String) throws -> MeasuredWindows {
        if let result = measured[windows] { return result }
        let tokens = try tokens(of: windows, path: path)
        let length = windows.sequenceLength
        let count = min(windows.windowCount ?? .max, tokens.count / length)
        let evaluator = try PerplexityEvaluator(
            parameters: model().parameters,
            recipe: .none,
            activations: activations,
            length: length,
            device: CPUDevice(team: team)
        )
        let sums = try evaluator.sums(tokens, windows: count) { done in
            try finishStep(windows.text, done, of: count, tokenCount: length)
        }
        let result = MeasuredWindows(sums: sums, text: tokens.prefix(count * length).hashValue)
        measured[windows] = result
        return result
    }
}
