internal import Protocol

/// A page of jobs.
///
/// A page may be short, or empty, of rows that cannot be read: whether there is more, ``next`` alone says.
struct StoredJobs: Sendable {
    /// Those that can be read.
    var jobs: [StoredJob] = []
    /// Those that cannot.
    var unreadable: [UnreadableJob] = []
    /// The number after which the next page begins; nil after the last.
    var next: Int64?
}

/// A row that cannot be read.
struct UnreadableJob: Sendable {
    let number: Int64
    let id: String
    /// What is wrong, in a sentence with the id.
    let error: StoreError
}

/// What can be told of a job although the rest of its row may not be readable.
struct JobRow: Sendable {
    let id: String
    let owner: String
    let version: Int64
    /// The pipeline that it is of.
    let pipeline: String?
}

/// A page of jobs that ended; ``next`` alone says whether there is more.
struct EndedPage: Sendable {
    /// Those that can be read.
    var jobs: [StoredJob] = []
    /// After what the next page begins; nil after the last.
    var next: EndedPlace?
}

/// A place among the jobs that ended: from the one that ended first, and of equals the older.
struct EndedPlace: Sendable {
    /// In Unix milliseconds.
    let finished: Int64
    let number: Int64
}

/// Events of a job.
struct StoredEvents: Sendable {
    /// The events; in the place of one that cannot be read is a line that says so.
    var events: [JobEvent] = []
    /// What cannot be read, each in a sentence with the job and the event's number.
    var faults: [String] = []

    /// Adds an event as it is stored.
    mutating func add(_ body: [UInt8], job: String, seq: Int64) {
        var event: JobEvent
        do {
            event = try JobEvent(encoded: body)
        } catch {
            let fault = "event \(seq) of job \(job) cannot be read: \(error)"
            faults.append(fault)
            event = JobEvent(timeUnixMs: events.last?.timeUnixMs ?? 0, type: .log, message: fault)
        }
        // Whoever asks for the next page goes by these.
        event.jobID = job
        event.seq = UInt64(clamping: seq)
        events.append(event)
    }
}
