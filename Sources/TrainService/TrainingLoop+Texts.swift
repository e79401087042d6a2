internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import ServiceKit

extension TrainingLoop {
    /// The texts of a job that names text files.
    static func texts(
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
        let tokens = try TextTokens(model.tokenizer, model.configuration)
        let training = try trainingText(spec, request, reporter, model, tokens, team)
        try TextCorpus.requireWindow(
            of: length,
            tokenCount: training.count,
            paths: trainPaths
        )
        // Without a validation text the training text serves, and the results say so.
        guard !validationPaths.isEmpty else {
            return TrainingTexts(training: training, validation: nil)
        }
        let validation = try TextCorpus.load(
            paths: validationPaths,
            key: spec.data.textKey,
            tokens
        )
        try TextCorpus.requireWindow(
            of: length,
            tokenCount: validation.count,
            paths: validationPaths
        )
        return TrainingTexts(training: training, validation: validation)
    }
}
