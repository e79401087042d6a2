internal import Jobs
internal import Protocol

/// Changes that are stored together.
struct JobBatch: Sendable {
    /// A job that is new.
    struct Insertion: Sendable {
        let owner: String
        let key: String
        let digest: SHA256Digest
        let name: String
        let spec: [UInt8]
        let resources: Resources
        let depth: Int
        let job: Job
        let inputs: [Input]
    }

    /// A job that changes.
    struct Change: Sendable {
        /// The job as it becomes; it is stored over the version it names, as the next one.
        let job: Job
        var progress: JobProgress?
        var results: [UInt8]?
        var outputs: [OutputFile]?
        /// The files of the checkpoint in the place of those before.
        var checkpoint: [OutputFile]?
        /// The files of inputs that were other jobs' outputs, by the inputs' positions.
        var files: [Int: [InputFile]] = [:]
    }

    var insertions: [Insertion] = []
    var changes: [Change] = []
    var events: [JobEvent] = []
    /// Jobs that must be in a state still, without changing.
    var conditions: [(id: String, state: JobState)] = []
    /// How many jobs an owner may have waiting; a new one above it holds the batch back.
    var quota: (owner: String, waiting: Int)?
    /// Artifacts that are opened to a holder.
    var grants: [Opening] = []
    /// Artifacts that are closed to a holder: what a job refers to needs no other keeper.
    var closings: [Closing] = []
    /// Artifacts that must be there still.
    var needs: [Needs] = []
    var trims: [Trim] = []
    var removals: [Removal] = []

    var isEmpty: Bool {
        insertions.isEmpty && changes.isEmpty && events.isEmpty && trims.isEmpty
            && removals.isEmpty
    }

    /// Adds the states that a decision enters to the history.
    mutating func tell(_ decision: Decision) {
        events += decision.entries.map { entry in
            JobEvent(
                jobID: decision.job.id,
                seq: UInt64(entry.seq),
                timeUnixMs: entry.time,
                type: .state,
                state: entry.state.rawValue,
                reason: entry.reason.rawValue,
                message: entry.message
            )
        }
    }
}
