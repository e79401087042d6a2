internal import Foundation
internal import Synchronization

/// Whether a worker's disk has room for another job.
///
/// Without room a worker would fail one job after the other, while another one might run them.
final class DiskRoom: Sendable {
    /// Bytes that are free before any job is taken.
    static let reserve: UInt64 = 256 << 20
    /// How long a worker on which a job did not fit takes none, unless room is made.
    static let patience = Duration.seconds(600)

    private struct Shortage {
        let job: String
        let wanted: UInt64
        let end: ContinuousClock.Instant
        /// Bytes that must be free; known once the job's files are removed.
        var needed: UInt64?
    }

    private let path: String
    private let measure: @Sendable (String) -> UInt64
    private let shortage = Mutex<Shortage?>(nil)

    /// Room on the disk of a folder; `measure` tells how many bytes are free there.
    init(path: String, measure: @escaping @Sendable (String) -> UInt64 = { free($0) }) {
        self.path = path
        self.measure = measure
    }

    /// Bytes that are free on a folder's disk; the largest number if that cannot be told.
    static func free(_ path: String) -> UInt64 {
        let found = try? FileManager.default.attributesOfFileSystem(forPath: path)
        return found?[.systemFreeSize] as? UInt64 ?? .max
    }

    /// A job found the disk full; `wanted`: The bytes of its inputs.
    func note(job: String, wanted: UInt64, at now: ContinuousClock.Instant = .now) {
        shortage.withLock { $0 = Shortage(job: job, wanted: wanted, end: now + Self.patience) }
    }

    /// Bytes that must be free beyond the reserve before a job is taken, as far as that is known.
    var wanted: UInt64 {
        let needed = shortage.withLock { $0?.needed } ?? 0
        return needed - min(needed, Self.reserve)
    }

    /// Why no job is taken now; nil if one is.
    func obstacle(at now: ContinuousClock.Instant = .now) -> String? {
        let free = measure(path)
        return shortage.withLock { shortage in
            if var found = shortage, now < found.end {
                // What it wanted did not fit, or all that is free now was too little for what it made.
                let wanted = max(found.wanted, free)
                let needed =
                    found.needed ?? wanted.addingReportingOverflow(Self.reserve).partialValue
                found.needed = needed
                shortage = found
                if free < needed {
                    return """
                        \(free >> 20) MiB are free in its state folder, too little for job \(found.job); it \
                        takes jobs again when \(needed >> 20) MiB are free, or in \
                        \(max(1, (found.end - now).components.seconds / 60)) min
                        """
                }
            }
            shortage = nil
            guard free < Self.reserve else { return nil }
            return """
                \(free >> 20) MiB are free in its state folder, \(Self.reserve >> 20) are needed before it \
                takes a job
                """
        }
    }
}
