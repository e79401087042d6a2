internal import JobSpecs
internal import Questions
internal import ServiceKit

/// One model on the questions or windows of a task beside the baseline on the same ones.
struct Comparison: Encodable, Sendable, Equatable {
    /// The task's type, as in the job.
    var task: EvaluateSpec.TaskType
    /// The task's place among the job's tasks.
    var index: Int
    /// What is compared.
    var name: Measurement.Name
    /// The model.
    var label: String
    /// The model that it is compared with.
    var reference: String
    /// The model's figure less the reference's.
    var difference: Double
    /// Both ends of its 95 % confidence interval; nil of a single question or window.
    @NullIfNone var interval: [Double]?
    /// Questions that the model alone answers rightly; nil where answers are neither right nor wrong.
    @NullIfNone var wins: Int?
    /// Questions that the reference alone does.
    @NullIfNone var losses: Int?
    /// Share of the questions that are wins or losses.
    @NullIfNone var flips: Double?
    /// Two-sided: of McNemar's exact test; of windows, of the randomization of signs.
    @NullIfNone var pValue: Double?
    /// Questions or windows.
    var count: Int

    /// Takes the figures of questions; the measurement is the model's own.
    init(
        _ measurement: Measurement,
        label: String,
        reference: String,
        _ found: PairedComparison
    ) {
        self.init(measurement, label: label, reference: reference, difference: found.difference)
        interval = found.interval
        wins = found.wins
        losses = found.losses
        if let wins = found.wins, let losses = found.losses {
            flips = Double(wins + losses) / Double(measurement.count)
        }
        pValue = found.probability
    }

    /// Takes the figures of windows, likewise.
    init(
        _ measurement: Measurement,
        label: String,
        reference: String,
        _ found: WindowComparison
    ) {
        self.init(measurement, label: label, reference: reference, difference: found.difference)
        interval = found.interval
        pValue = found.probability
    }

    private init(
        _ measurement: Measurement,
        label: String,
        reference: String,
        difference: Double
    ) {
        task = measurement.task
        index = measurement.index
        name = measurement.name
        count = measurement.count
        self.label = label
        self.reference = reference
        self.difference = difference
        interval = nil
        wins = nil
        losses = nil
        flips = nil
        pValue = nil
    }
}
