internal import Jobs

/// Which jobs a list is of: all of what is said must be true of a job.
struct JobChoice: Sendable, Equatable {
    /// Whose they are; nil for everybody's.
    var owner: String?
    /// The states they may be in; none for all.
    var states: Set<JobState> = []
    /// The kinds they may be of; none for all.
    var kinds: Set<Kind> = []
    /// What is in their names, whatever the case; empty for every name.
    var name = ""
    /// What people type who mean them: their name, the beginning of their id, or either of their pipeline, or
    /// `PIPELINE/JOB`; empty for all.
    var word = ""
}
