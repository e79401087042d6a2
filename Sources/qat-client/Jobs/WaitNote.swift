internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Synchronization

/// Why a job waits, as the gateway says it.
struct WaitNote: Sendable, Equatable {
    let jobID: String
    /// Its state: `QUEUED`, `BLOCKED`, `PAUSED`.
    let state: String
    /// The sentence.
    let reason: String

    init(jobID: String, state: String, reason: String) {
        self.jobID = jobID
        self.state = state
        self.reason = reason
    }

    /// What a list says of a job; nil if it does not wait, or nobody knows why.
    init?(_ job: JobSummary) {
        guard JobState(rawValue: job.state)?.isWaiting == true, !job.waitReason.isEmpty else {
            return nil
        }
        self.init(jobID: job.jobID, state: job.state, reason: job.waitReason)
    }

    /// A line among those of the job's events.
    var json: JSONValue {
        .object([
            "job_id": .string(jobID), "type": .string("wait"), "state": .string(state),
            "wait_reason": .string(reason),
        ])
    }

    /// Whether it says something else than an earlier one: seconds that count down do not.
    func isNews(after old: WaitNote?) -> Bool {
        guard let old, old.state == state else { return true }
        func words(_ text: String) -> [Substring] {
            text.split(separator: " ").filter { UInt64($0) == nil }
        }
        return words(old.reason) != words(reason)
    }
}

/// The jobs among those followed that wait, and what was told of them.
final class WaitingJobs: Sendable {
    private struct State {
        var states: [String: JobState] = [:]
        var told: [String: WaitNote] = [:]
    }

    private let state = Mutex(State())

    /// Whether any waits.
    var isAny: Bool { state.withLock { $0.states.values.contains(where: \.isWaiting) } }

    /// Takes notice of the state that a job is in now.
    func note(_ job: String, state name: String) {
        state.withLock { state in
            let new = JobState(rawValue: name)
            guard new != state.states[job] else { return }
            state.states[job] = new
            state.told[job] = nil
        }
    }

    /// Whether a note is to be told: its job waits still, and nobody was told so.
    func admits(_ note: WaitNote) -> Bool {
        state.withLock { state in
            guard state.states[note.jobID]?.isWaiting == true,
                note.isNews(after: state.told[note.jobID])
            else { return false }
            state.told[note.jobID] = note
            return true
        }
    }
}
