/// What may go, and when: rules for what is over.
///
/// Ages are counted on the wall clock, the only one that outlives a process; ``SteadyTime`` keeps a
/// jump of it from being taken for age.
public struct Retention: Sendable {
    /// How long what is over is kept.
    public let policy: RetentionPolicy
    /// The present, in Unix milliseconds.
    public let now: Int64

    /// Rules at an instant.
    public init(policy: RetentionPolicy, now: Int64) {
        self.policy = policy
        self.now = now
    }

    /// The instant before which something happened that is older than an age.
    public func cutoff(_ age: Int64) -> Int64 { now - age }

    /// Why a job cannot be removed, or nil.
    ///
    /// `needing`: Jobs that name it among their inputs, or start after it.
    ///
    /// A job goes only when it is over, and when nobody waits for it or works with what it made.
    public static func refusal(of job: Job, needing: [Job]) -> String? {
        if let refusal = refusal(of: job.id, in: job.state.rawValue) { return refusal }
        return needing.first { !$0.state.isTerminal }
            .map { refusal(of: job.id, neededBy: $0.id, in: $0.state.rawValue) }
    }

    /// Why a job in a state, by its word, cannot be removed, whoever needs it, or nil.
    public static func refusal(of job: String, in state: String) -> String? {
        JobState(rawValue: state)?.isTerminal == true
            ? nil : "job \(job) is \(state); cancel it first"
    }

    /// Why a job cannot be removed that another one needs, which is not over.
    public static func refusal(of job: String, neededBy user: String, in state: String) -> String {
        "job \(job) is needed by job \(user), which is \(state)"
    }

    /// Why one job of a pipeline cannot be removed.
    public static func refusal(of job: String, partOf pipeline: String) -> String {
        "job \(job) is of pipeline \(pipeline), which goes whole or not at all: "
            + "qat-client jobs rm \(pipeline)"
    }

    /// Whether a job may go before its time, to make room: it ended as long ago as an upload is kept
    /// that nobody refers to.
    public func mayMakeRoom(_ job: Job) -> Bool {
        guard job.state.isTerminal, let finished = job.finished else { return false }
        return finished <= cutoff(policy.uploads)
    }

    /// Whether an event outlives the details of a job's history: changes of state do.
    public static func outlivesDetails(isState: Bool) -> Bool { isState }

    /// A log that is stored.
    public struct Log: Sendable, Equatable {
        /// Its job.
        public let job: String
        /// Whose job that is; empty where nobody knows.
        public var owner: String
        /// Its bytes.
        public let bytes: Int64
        /// When the job ended; nil while it is not over.
        public var finished: Int64?

        /// A log of its parts.
        public init(job: String, owner: String, bytes: Int64, finished: Int64?) {
            self.job = job
            self.owner = owner
            self.bytes = bytes
            self.finished = finished
        }
    }

    /// The logs that go: the old ones, then further ones until the others keep to the limit, of those owners
    /// whose logs take more than their share (``FairShare``).
    ///
    /// Those of the jobs that ended first go first. That of a job that is not over stays.
    public func expired(_ logs: [Log]) -> [Log] {
        let held = logs.reduce(into: [:]) { $0[$1.owner, default: 0] += $1.bytes }
        var excess = FairShare.excess(of: held, above: policy.logBytes)
        let ended = logs.filter { $0.finished != nil }.sorted {
            ($0.finished ?? 0, $0.job) < ($1.finished ?? 0, $1.job)
        }
        return ended.filter { log in
            let isOld = (log.finished ?? 0) <= cutoff(policy.logs)
            guard isOld || excess[log.owner, default: 0] > 0 else { return false }
            excess[log.owner, default: 0] -= log.bytes
            return true
        }
    }
}

/// Tells the passing of time from a clock that was set.
///
/// Whatever is old by a clock that jumped ahead is not to go: the jump may be a mistake, and what is gone
/// stays gone.
public struct SteadyTime: Sendable {
    /// A jump ahead of so many milliseconds is none of time's.
    public static let tolerance: Int64 = 3_600_000
    /// Milliseconds to wait after one: time for somebody to set the clock right.
    public static let patience: Int64 = 86_400_000

    /// A gateway that slept for longer than this many milliseconds makes sure first.
    public static let absence: Int64 = 30 * RetentionPolicy.day

    private let lastKnown: Int64?
    private let absence: Int64
    private var last: (unix: Int64, elapsed: Int64)?
    private var trustedFrom: Int64 = .min

    /// A watch that has seen nothing yet.
    ///
    /// `lastKnown`: When something last happened that is known of, in Unix milliseconds. `absence`: So many
    /// milliseconds after that are taken for time that passed.
    public init(lastKnown: Int64? = nil, absence: Int64 = Self.absence) {
        self.lastKnown = lastKnown
        self.absence = absence
    }

    /// Whether ages can be counted now.
    ///
    /// `unix`: The wall clock. `elapsed`: A clock that never jumps, and goes on while the machine
    /// sleeps. Both in milliseconds.
    public mutating func admits(unix: Int64, elapsed: Int64) -> Bool {
        let hasJumped =
            if let last {
                unix - last.unix > elapsed - last.elapsed + Self.tolerance
            } else if let lastKnown { unix - lastKnown > absence } else { false }
        if hasJumped { trustedFrom = elapsed + Self.patience }
        last = (unix, elapsed)
        return elapsed >= trustedFrom
    }
}
