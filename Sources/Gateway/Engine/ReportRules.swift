internal import Jobs
internal import Protocol

/// Cuts what workers tell to sizes that every later answer can carry.
///
/// Nothing is refused here: a job does not end because it is talkative.
struct ReportRules: Sendable {
    let limits: JobLimits

    /// An event as it is kept.
    func kept(_ event: JobEvent) -> JobEvent {
        var event = event
        event.message = PlainText.cut(event.message, byteLimit: limits.sentenceBytes * 2)
        event.reason = PlainText.cut(event.reason, byteLimit: limits.wordBytes)
        event.progress = event.progress.map(kept)
        let count = event.metricsJSON.count
        if count > limits.metricBytes {
            leaveOut(&event, "the limit is \(limits.metricBytes)")
        } else if count > 0, !SubmissionRules.isObject(event.metricsJSON) {
            leaveOut(&event, "they are no JSON object")
        }
        return event
    }

    private func leaveOut(_ event: inout JobEvent, _ why: String) {
        event.type = .log
        event.message = "metrics of \(event.metricsJSON.count) bytes were left out; \(why)"
        event.metricsJSON = []
    }

    private func kept(_ progress: JobProgress) -> JobProgress {
        var progress = progress
        progress.step = min(progress.step, limits.steps)
        progress.totalSteps = min(progress.totalSteps, limits.steps)
        progress.precision = PlainText.cut(progress.precision, byteLimit: limits.wordBytes)
        progress.phase = PlainText.cut(progress.phase, byteLimit: limits.wordBytes)
        return progress
    }

    /// A sentence as it is kept.
    func sentence(_ text: String) -> String {
        PlainText.cut(text, byteLimit: limits.sentenceBytes)
    }
}
