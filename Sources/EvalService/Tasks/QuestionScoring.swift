internal import Devices
internal import ModelFiles
internal import Questions
internal import Transformer

/// A model that says how likely answers are.
struct QuestionScoring {
    /// Positions that the model was made for: longer questions lack their beginning, as in
    /// lm-evaluation-harness.
    let positions: Int
    /// Questions that lack it.
    private(set) var cutCount = 0
    private let subject: EvaluationSubject
    private var tokenizer: AnswerTokenizer
    /// With room for the longest question so far.
    private var scorer: (scorer: ContinuationScorer, capacity: Int)?

    init(_ subject: EvaluationSubject) throws {
        self.subject = subject
        positions = subject.configuration.maximumPositions
        tokenizer = AnswerTokenizer(
            try subject.model().tokenizer,
            // The harness adds a start to Gemma's texts alone.
            addsSpecialTokens: subject.configuration.architecture.family.hasPrefix("gemma"),
            positions: positions
        )
    }

    /// Scores a question behind its examples.
    ///
    /// - Throws: What the numeric modules throw, with the question's place.
    mutating func score(_ question: ChoiceQuestion, prefix: String) throws -> ChoiceScore {
        var isCut = false
        var sums: [Double] = []
        for answer in question.answers {
            let tokens = try tokens(prefix + answer.context, answer.continuation, question)
            isCut = isCut || tokens.isCut
            let count = tokens.context.count + tokens.continuation.count - 1
            sums.append(
                try scorer(for: count).logLikelihood(
                    context: tokens.context,
                    continuation: tokens.continuation
                )
            )
        }
        if isCut { cutCount += 1 }
        return ChoiceScore(question, logLikelihoods: sums)
    }

    private mutating func tokens(
        _ context: String,
        _ continuation: String,
        _ question: ChoiceQuestion
    ) throws(ModelFileError) -> AnswerTokens {
        do {
            return try tokenizer.tokens(context: context, continuation: continuation)
        } catch {
            throw ModelFileError(error.code, "\(question.place): \(error.message)")
        }
    }

    private mutating func scorer(for count: Int) throws -> ContinuationScorer {
        if let scorer, scorer.capacity >= count { return scorer.scorer }
        // Twice as much, so that few are made.
        let capacity = min(max(2 * count, 256), max(positions, count))
        let made = try ContinuationScorer(
            parameters: subject.model().parameters,
            activations: subject.activations,
            capacity: capacity,
            device: CPUDevice(team: subject.team)
        )
        scorer = (made, capacity)
        return made
    }
}
