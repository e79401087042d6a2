internal import Foundation

/// The folders of a worker's jobs, one for each.
enum JobFolders {
    /// Of a job's folder: the one with its checkpoints, which alone stays for a retry.
    static let checkpoints = "checkpoints"

    /// Where a job's outputs are until they are published, of its folder.
    static func output(in jobFolder: String) -> String { jobFolder + "/output" }

    /// Removes those in which nothing was written for so long.
    ///
    /// A folder's own date tells of its direct children alone: a checkpoint that is written deep in it
    /// does not move it. The newest date within counts.
    ///
    /// - Returns: Their names.
    static func removeUntouched(in root: String, before age: TimeInterval) -> [String] {
        let manager = FileManager.default
        let limit = Date.now.addingTimeInterval(-age)
        let names = (try? manager.contentsOfDirectory(atPath: root)) ?? []
        return names.filter { name in
            let path = "\(root)/\(name)"
            guard lastTouched(path) < limit else { return false }
            try? manager.removeItem(atPath: path)
            return true
        }
    }

    /// The newest date of a folder and of all in it.
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

extension TimeInterval {
    /// In seconds.
    static let week: TimeInterval = 7 * 86_400
}
