internal import JobSpecs
internal import ServiceKit

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

    /// How the models that were run compare with the first of `labels` on the same questions or windows; none
    /// of tasks without either.
    func comparisons(of labels: [String]) -> [Comparison]
}

extension EvaluationTask {
    func comparisons(of labels: [String]) -> [Comparison] { [] }
}
