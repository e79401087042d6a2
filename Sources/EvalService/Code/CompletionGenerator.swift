internal import Devices
internal import JobInputs
internal import Jobs
internal import JobSpecs
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// Lets a model go on from prompts until a program ends.
final class CompletionGenerator {
    private let generator: Generator
    private let tokenizer: Tokenizer
    private let ends: Set<Int32>
    private let settings: EvaluateSpec.CodeProblems

    /// A generator for the subject's model; its draws depend on `seed` and on their order.
    ///
    /// - Throws: What the numeric modules throw.
    init(
        _ subject: EvaluationSubject,
        _ settings: EvaluateSpec.CodeProblems,
        prompts: [CodeProblem],
        seed: UInt64
    ) throws {
        let model = subject.model
        let tokenizer = model.tokenizer
        self.tokenizer = tokenizer
        self.settings = settings
        ends = Set(model.configuration.eosTokens.compactMap { Int32(exactly: $0) })
        let counts = prompts.map { tokenizer.encode($0.prompt, addingSpecialTokens: true).count }
        let limit = model.configuration.maximumPositions
        for (problem, count) in zip(prompts, counts) where count >= limit {
            throw ComputeFailure(
                .userError,
                "\(subject.label): the prompt of \(problem.id) has \(count) tokens and leaves no room in "
                    + "the model's context of \(limit) positions"
            )
        }
        let (wanted, isHuge) = (counts.max() ?? 0)
            .addingReportingOverflow(settings.maximumTokens)
        generator = try Generator(
            parameters: model.parameters,
            activations: subject.activations,
            capacity: min(isHuge ? limit : wanted, limit),
            seed: seed,
            device: CPUDevice(team: subject.team)
        )
    }

    /// A completion, and the tokens that it took; `tell` is called for each and throws to stop.
    func completion(
        of problem: CodeProblem,
        tell: (Int) throws -> Void
    ) throws -> (text: String, tokenCount: Int) {
        let prompt = tokenizer.encode(problem.prompt, addingSpecialTokens: true)
        let options = SamplingOptions(temperature: settings.temperature, topP: settings.topP)
        let room = min(settings.maximumTokens, generator.capacity - prompt.count)
        var made: [Int32] = []
        var text = ""
        generator.reset()
        try generator.append(prompt)
        while made.count < room {
            let token = generator.sample(options)
            guard !ends.contains(token) else { break }
            made.append(token)
            let (found, isEnded) = CodeProgram.completion(of: decoded(made, after: prompt))
            text = found
            try tell(made.count)
            if isEnded || made.count == room { break }
            try generator.append([token])
        }
        return (text, made.count)
    }

    /// Decoders of some tokenizers drop a blank at a text's start: tokens are decoded where they stand.
    private func decoded(_ tokens: [Int32], after prompt: [Int32]) -> String {
        let before = Array(tokenizer.decode(prompt).utf8)
        let all = Array(tokenizer.decode(prompt + tokens).utf8)
        guard all.starts(with: before) else { return tokenizer.decode(tokens) }
        return String(decoding: all.dropFirst(before.count), as: UTF8.self)
    }
}
