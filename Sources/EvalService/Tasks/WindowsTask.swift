internal import JobSpecs

/// Perplexity, or the share of next tokens that are the most likely one, on windows of a text.
final class WindowsTask: EvaluationTask {
    private let windows: EvaluateSpec.TextWindows
    /// The text's file.
    private let path: String
    private var outcomes: WindowOutcomes

    /// `seed`: Of the comparisons' draws.
    init(
        _ figure: WindowOutcomes.Figure,
        index: Int,
        windows: EvaluateSpec.TextWindows,
        path: String,
        seed: UInt64
    ) {
        self.windows = windows
        self.path = path
        outcomes = WindowOutcomes(figure, index: index, text: windows.text, seed: seed)
    }

    func effort(on plan: EvaluationSubject.Plan) throws -> TaskEffort {
        try plan.effort(of: windows, path: path)
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        [outcomes.add(subject.label, try subject.measure(windows, path: path))]
    }

    func comparisons(of labels: [String]) -> [Comparison] { outcomes.comparisons(of: labels) }
}
