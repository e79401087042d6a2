internal import JobSpecs
internal import ServiceKit

/// One figure that a task found of a model.
struct Measurement: Encodable, Sendable, Equatable {
    /// What is measured.
    typealias Name = EvaluateSpec.Metric

    /// The task's type, as in the job.
    var task: EvaluateSpec.TaskType
    /// The task's place among the job's tasks.
    var index: Int
    /// The text, or the only file of questions, as the job names it; nil of a task without.
    @NullIfNone var text: String?
    /// What is measured.
    var name: Name
    /// The figure; finite.
    var value: Double
    /// Both ends of its 95 % confidence interval; nil where one sample leaves no spread to see.
    @NullIfNone var interval: [Double]?
    /// Samples: windows of a text, runs of a benchmark, questions.
    var count: Int
    /// The same figure of each subject; absent where there are none.
    var subjects: [SubjectFigure]?
    /// The share of what another model loses that this one wins back, 1 for all; absent where the job asks for
    /// none, or next to nothing was lost.
    var recovered: Double?
}

/// A figure of one subject's questions.
struct SubjectFigure: Encodable, Sendable, Equatable {
    /// The subject's name in the files.
    var subject: String
    /// The figure; finite.
    var value: Double
    /// Questions.
    var count: Int
}
