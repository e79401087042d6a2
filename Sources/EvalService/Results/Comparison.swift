internal import JobSpecs
internal import Questions
internal import ServiceKit

/// One model on the questions of a task beside the job's first model on the same ones.
struct Comparison: Encodable, Sendable, Equatable {
    /// The task's type, as in the job.
    var task: EvaluateSpec.TaskType
    /// The task's place among the job's tasks.
    var index: Int
    /// What is compared.
    var name: Measurement.Name
    /// The model.
    var label: String
    /// The first model.
    var reference: String
    /// The model's figure less the reference's.
    var difference: Double
    /// Both ends of its 95 % confidence interval; nil of a single question.
    @NullIfNone var interval: [Double]?
    /// Questions that the model alone answers rightly; nil where answers are neither right nor wrong.
    @NullIfNone var wins: Int?
    /// Questions that the reference alone does.
    @NullIfNone var losses: Int?
    /// Share of the questions that are wins or losses.
    @NullIfNone var flips: Double?
    /// Of McNemar's exact test, two-sided.
    @NullIfNone var pValue: Double?
    /// Questions.
    var count: Int

    /// Takes the figures of a comparison; the measurement is the model's own.
    init(
        _ measurement: Measurement,
        label: String,
        reference: String,
        _ found: PairedComparison
    ) {
        task = measurement.task
        index = measurement.index
        name = measurement.name
        self.label = label
        self.reference = reference
        difference = found.difference
        interval = found.interval
        wins = found.wins
        losses = found.losses
        if let wins = found.wins, let losses = found.losses {
            flips = Double(wins + losses) / Double(measurement.count)
        } else {
            flips = nil
        }
        pValue = found.probability
        count = measurement.count
    }
}
