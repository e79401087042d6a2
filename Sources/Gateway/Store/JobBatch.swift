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
        /// Jobs that must end well before it starts.
        var after: [String] = []
        var priority = Priority.normal
        var place: PipelinePlace?
        /// What it computes, but for its inputs.
        var content: SHA256Digest?
        /// What it has without having run.
        var results: [UInt8] = []
        var outputs: [OutputFile] = []
    }

    /// A pipeline that is new; its jobs are insertions of the same batch.
    struct Pipeline: Sendable {
        let id: String
        let owner: String
        let key: String
        let digest: SHA256Digest
        let name: String
        let created: Int64
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

    /// How many jobs an owner may have in some states before a batch; as many hold it back.
    struct Ceiling: Sendable {
        let owner: String
        let states: [JobState]
        let limit: Int

        /// The ceiling of a quota of waiting jobs, for so many that come to wait; nil if none does, or
        /// there is no quota.
        static func waiting(_ quota: Int?, of owner: String, for count: Int) -> Ceiling? {
            guard let quota, count > 0 else { return nil }
            return Ceiling(
                owner: owner,
                states: JobState.waiting,
                limit: max(0, quota - (count - 1))
            )
        }
    }

    var pipelines: [Pipeline] = []
    var insertions: [Insertion] = []
    var changes: [Change] = []
    var events: [JobEvent] = []
    /// Jobs that must be in a state still, without changing.
    var conditions: [(id: String, state: JobState)] = []
    var ceilings: [Ceiling] = []
    /// Artifacts that are opened to a holder.
    var grants: [Opening] = []
    /// Artifacts that are closed to a holder: what a job refers to needs no other keeper.
    var closings: [Closing] = []
    /// Artifacts that must be there still.
    var needs: [Needs] = []
    var trims: [Trim] = []
    var removals: [Removal] = []

    var isEmpty: Bool {
        pipelines.isEmpty && insertions.isEmpty && changes.isEmpty && events.isEmpty
            && grants.isEmpty && closings.isEmpty && trims.isEmpty && removals.isEmpty
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
