internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

extension TrainingLoop {
    /// What a job trains on, and is validated on.
    static func texts(
        _ spec: TrainSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        _ model: LoadedModel,
        _ team: ThreadTeam
    ) throws -> TrainingTexts {
        switch spec.data.implementation {
        case .text: try textFiles(spec, request, reporter, model, team)
        case .mmap:
            try TrainingTexts(
                corporaOf: spec,
                request,
                reporter,
                vocabularySize: model.configuration.vocabularySize
            )
        }
    }

    /// The texts of a job that names text files.
    private static func textFiles(
        _ spec: TrainSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        _ model: LoadedModel,
        _ team: ThreadTeam
    ) throws -> TrainingTexts {
        let trainPaths = try TrainingPlan.paths(spec.data.training, "/data/train", request)
        let validationPaths = try TrainingPlan.paths(
            spec.data.validation,
            "/data/validation",
            request
        )
        let length = spec.data.sequenceLength
        let tokens = try TextTokens(model.tokenizer, model.configuration, model.files)
        var training = try trainingText(spec, request, reporter, model, tokens, team)
        try TextCorpus.requireWindow(
            of: length,
            tokenCount: training.tokens.count,
            paths: trainPaths
        )
        if spec.data.isMixture {
            for (path, part) in zip(trainPaths, training.files) {
                try TextCorpus.requireWindow(of: length, tokenCount: part.count, paths: [path])
            }
        }
        // Without a validation text the training text serves, and the results say so.
        var validation: MarkedText?
        if !validationPaths.isEmpty {
            let found = try TextCorpus.load(
                paths: validationPaths,
                key: spec.data.textKey,
                learnsAnswers: spec.data.learnsAnswersOnly,
                tokens
            )
            try TextCorpus.requireWindow(
                of: length,
                tokenCount: found.tokens.count,
                paths: validationPaths
            )
            validation = found
        }
        let isMarked = training.hasConversations || validation?.hasConversations ?? false
        if isMarked {
            reporter.log(
                training.conversationSentence(learnsAnswers: spec.data.learnsAnswersOnly)
            )
        } else {
            training.removeMarks()
            validation?.removeMarks()
        }
        return TrainingTexts(
            training: training.tokens,
            parts: spec.data.isMixture ? training.files : nil,
            validation: validation?.tokens,
            isMarked: isMarked
        )
    }

    /// The training texts, and behind them the text that the teacher makes.
    private static func trainingText(
        _ spec: TrainSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        _ model: LoadedModel,
        _ tokens: TextTokens,
        _ team: ThreadTeam
    ) throws -> MarkedText {
        var texts = try TextCorpus.load(
            paths: TrainingPlan.paths(spec.data.training, "/data/train", request),
            key: spec.data.textKey,
            learnsAnswers: spec.data.learnsAnswersOnly,
            tokens
        )
        guard let options = spec.data.generated else { return texts }
        let generated = GeneratedText(
            options: options,
            length: spec.data.sequenceLength,
            seed: spec.seed,
            request: request,
            reporter: reporter
        )
        let count = texts.tokens.count + options.windows * spec.data.sequenceLength
        reporter.begin(
            at: TrainingPlan.reachedStep(in: request.checkpointFolder),
            of: spec.runLength(tokenCount: count).steps
        )
        let teacher = try Self.teacher(of: model, request, team)
        texts.append(try generated.tokens(of: teacher, model.tokenizer, team: team))
        return texts
    }
}
