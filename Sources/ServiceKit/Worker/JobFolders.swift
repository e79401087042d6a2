internal import DurableFiles
internal import Foundation

/// The folders of a worker's jobs, one for each.
struct JobFolders: Sendable {
    /// Of a job's folder: the one with its checkpoints, which alone stays for a retry.
    static let checkpoints = "checkpoints"

    /// Of the folder of checkpoints: the one that is being fetched.
    static let incoming = ".incoming"

    /// Removes checkpoints of a job that are half written or half fetched; only while no child of it runs.
    ///
    /// Nobody goes on with them, and each may be as large as a whole one.
    static func removeUnfinished(in jobFolder: String) {
        let folder = "\(jobFolder)/\(checkpoints)"
        CheckpointName.removeUnfinished(in: folder)
        try? FileManager.default.removeItem(atPath: "\(folder)/\(incoming)")
    }

    /// Where a job's outputs are until they are published, of its folder.
    static func output(in jobFolder: String) -> String { jobFolder + "/" + outputs }

    private static let outputs = "output"

    /// What is kept of a job that is not at work here.
    struct Kept: Sendable, Equatable {
        /// The job, and the name of its folder.
        let job: String
        /// Of its newest checkpoint; 0 without one.
        let step: UInt64
        /// Whether finished outputs wait for their upload.
        let isFinished: Bool
        /// When anything in it was last written.
        let touched: Date
    }

    /// The folder that they are in.
    let root: String

    /// What is kept, from what was touched first; only while no job is at work.
    func kept() -> [Kept] {
        names().map { name in
            let path = "\(root)/\(name)"
            return Kept(
                job: name,
                step: CheckpointName.all(in: path + "/" + Self.checkpoints).max()?.step ?? 0,
                isFinished: FinishedWork.isLeft(in: path),
                touched: Self.lastTouched(path)
            )
        }.sorted { ($0.touched, $0.job) < ($1.touched, $1.job) }
    }

    /// Removes all that is kept of a job.
    func remove(_ kept: Kept) {
        try? FileManager.default.removeItem(atPath: "\(root)/\(kept.job)")
    }

    /// Removes what no attempt goes on with: links to inputs, files on their way, unfinished outputs; only
    /// while no job is at work.
    func strip() {
        for path in names().map({ "\(root)/\($0)" }) {
            let isFinished = FinishedWork.isLeft(in: path)
            let staying =
                [Self.checkpoints] + (isFinished ? [Self.outputs, FinishedWork.name] : [])
            for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            where !staying.contains(name) {
                try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
            }
            Self.removeUnfinished(in: path)
        }
    }

    private func names() -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    }

    /// The newest date of a folder and of all in it.
    ///
    /// A folder's own date tells of its direct children alone: a checkpoint that is written deep in it
    /// does not move it.
    private static func lastTouched(_ path: String) -> Date {
        func date(_ path: String) -> Date {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            return attributes?[.modificationDate] as? Date ?? .distantPast
        }
        let within =
            FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
        return within.reduce(date(path)) { max($0, date("\(path)/\($1)")) }
    }
}
