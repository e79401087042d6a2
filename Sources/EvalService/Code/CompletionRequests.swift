internal import Inference
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// What a model goes on from, problem by problem, until a program ends.
struct CompletionRequests {
    /// Those of a problem follow each other.
    let requests: [GenerationRequest]
    /// Tokens of the longest prompt and its completion.
    let length: Int

    /// Requests for the subject's model; its draws depend on `seed`.
    ///
    /// - Throws: ``ModelFileError``; `ComputeFailure` of a prompt that leaves no room.
    init(
        _ subject: EvaluationSubject,
        _ settings: EvaluateSpec.CodeProblems,
        _ problems: [CodeProblem],
        seed: UInt64
    ) throws {
        let tokenizer = try subject.tokenizer()
        let limit = subject.configuration.maximumPositions
        var seeds = SplitMix64(seed: seed)
        var requests: [GenerationRequest] = []
        for problem in problems {
            let prompt = tokenizer.addedAtStart + tokenizer.encode(problem.prompt)
            guard prompt.count < limit else {
                throw ComputeFailure(
                    .userError,
                    "\(subject.label): the prompt of \(problem.id) has \(prompt.count) tokens and leaves no room in "
                        + "the model's context of \(limit) positions"
                )
            }
            for _ in 0..<settings.sampleCount {
                requests.append(
                    GenerationRequest(
                        prompt: prompt,
                        sampling: SamplingParameters(
                            temperature: settings.temperature,
                            topP: settings.topP,
                            seed: seeds.next()
                        ),
                        tokenLimit: settings.maximumTokens,
                        stops: CodeProgram.stops
                    )
                )
            }
        }
        self.requests = requests
        let (longest, isHuge) = (requests.map(\.prompt.count).max() ?? 0)
            .addingReportingOverflow(settings.maximumTokens)
        length = isHuge ? limit : longest
    }
}
