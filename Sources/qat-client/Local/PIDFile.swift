internal import Foundation
internal import JobSpecs

/// A file that names a process, safe against reuse of its number.
struct PIDFile {
    let path: String

    /// The process the file names, if that very process still runs.
    func runningProcess() -> ProcessIdentity? {
        guard let data = FileManager.default.contents(atPath: path),
            let document = try? JSONParser.parse(Array(data)).value,
            let process = ProcessIdentity(document), process.isRunning
        else {
            return nil
        }
        return process
    }

    /// Names a process.
    func write(_ process: ProcessIdentity) throws {
        try PrivateFiles.replace(path, with: process.json.canonicalBytes + [0x0A])
    }

    /// Removes the file.
    func remove() {
        unlink(path)
    }
}
