internal import JobSpecs
internal import Transformer

/// The exponential of the mean loss on windows of a text.
struct PerplexityTask: EvaluationTask {
    let index: Int
    let windows: EvaluateSpec.TextWindows
    /// The text's file.
    let path: String

    func effort(on plan: EvaluationSubject.Plan) throws -> TaskEffort {
        try plan.effort(of: windows, path: path)
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        let result = try subject.result(of: windows, path: path)
        return [
            Measurement(
                task: .perplexity,
                index: index,
                text: windows.text,
                name: .perplexity,
                value: result.perplexity,
                interval: result.confidenceInterval,
                count: result.windowCount
            )
        ]
    }
}
