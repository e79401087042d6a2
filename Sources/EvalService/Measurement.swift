internal import JobSpecs
internal import ServiceKit

/// One figure that a task found of a model.
struct Measurement: Encodable, Sendable, Equatable {
    /// What is measured; the raw values are the keys of results.
    enum Name: String, Encodable, Sendable {
        /// `exp` of the mean loss.
        case perplexity
        /// Share of next tokens that the most likely one hits.
        case accuracy
        /// Milliseconds of one generation, prompt included; the median of the runs.
        case latency = "latency_ms"
        /// Generated tokens per second, prompt included.
        case throughput = "tokens_per_s"
    }

    /// The task's type, as in the job.
    var task: EvaluateSpec.TaskType
    /// The task's place among the job's tasks.
    var index: Int
    /// The text, as the job names it; nil of a task without.
    @NullIfNone var text: String?
    /// What is measured.
    var name: Name
    /// The figure; finite.
    var value: Double
    /// Both ends of its 95 % confidence interval; nil where one sample leaves no spread to see.
    @NullIfNone var interval: [Double]?
    /// Samples: windows of a text, runs of a benchmark.
    var count: Int
}
