/// How jobs that were submitted together stand as a whole.
public enum PipelineState {
    /// The state of the whole, from how many of its jobs are in which state.
    ///
    /// Before all have ended: RUNNING if one has a worker, else QUEUED if one waits for a worker, else
    /// PAUSED if a user holds one back, else BLOCKED. Afterwards FAILED if one failed, else CANCELLED if one
    /// was, else SUCCEEDED.
    public static func state(of counts: [JobState: Int]) -> JobState {
        let found = Set(counts.filter { $0.value > 0 }.keys)
        if !found.isDisjoint(with: JobState.leased + [.recovering]) { return .running }
        let order: [JobState] = [.queued, .paused, .blocked, .failed, .cancelled]
        return order.first(where: found.contains) ?? .succeeded
    }
}
