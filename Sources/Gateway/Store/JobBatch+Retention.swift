internal import Jobs
internal import Protocol

extension JobBatch {
    /// A job that goes, with all that is stored of it but its key.
    struct Removal: Sendable {
        let id: String
        /// The version it must have still.
        let version: Int64
        /// No job in these states may name it among its inputs.
        let unlessNeededIn: [JobState]
        /// When, in Unix milliseconds.
        let time: Int64
    }

    /// Events that leave a job's history.
    struct Trim: Sendable {
        let id: String
        /// Their numbers.
        var seqs: [UInt64] = []
        /// When the history was gone through to its end, in Unix milliseconds.
        var finished: Int64?
    }

    /// Artifacts that a new job refers to.
    struct Needs: Sendable {
        /// To whom they must be open; nil if it is enough that anybody has them.
        let holder: String?
        let digests: Set<SHA256Digest>
    }

    /// Artifacts that are closed to a holder.
    struct Closing: Sendable {
        let holder: String
        let digests: Set<SHA256Digest>
    }

    /// An artifact that is opened to a holder.
    struct Opening: Sendable {
        let holder: String
        let digest: SHA256Digest
        let size: UInt64
        /// When the holder brought it, or asked for it, in Unix milliseconds; nil if a job of theirs made
        /// it, whose end takes nothing from what they brought.
        var brought: Int64?
    }
}

/// Which openings of artifacts end.
struct GrantExpiry: Sendable {
    /// Those of what was brought, or asked for, before this, in Unix milliseconds, and of what jobs made.
    var before: Int64
    /// Of this holder; nil of all.
    var holder: String?
    /// Those of what jobs made, and of nothing that was brought.
    static let ofNothingBrought = GrantExpiry(before: 1)

    /// Whether also those of artifacts that jobs refer to end, and these are merely closed.
    var includesUsed = false
}

/// A job that refers to an artifact.
struct ArtifactReference: Sendable, Equatable {
    let job: String
    let owner: String
    let state: JobState
}

/// An artifact that is open to somebody.
struct ArtifactGrant: Sendable, Equatable {
    let holder: String
    let digest: SHA256Digest
    let size: UInt64
}

/// Ended jobs that something is to be done about.
enum EndedJobs: Sendable {
    /// Every one.
    case all
    /// Those whose histories are whole still.
    case untrimmed
    /// Those that have a checkpoint.
    case withCheckpoint
}
