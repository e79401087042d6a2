internal import JobSpecs
internal import Transformer

/// The share of next tokens that the model's most likely one hits, on windows of a text.
struct AccuracyTask: EvaluationTask {
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
                task: .accuracy,
                index: index,
                text: windows.text,
                name: .accuracy,
                value: result.accuracy,
                interval: result.accuracyInterval,
                count: result.windowCount
            )
        ]
    }
}
