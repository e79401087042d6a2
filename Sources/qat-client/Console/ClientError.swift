internal import DurableFiles
internal import Foundation

/// Why a verb could not do its work.
struct ClientError: Error, Equatable {
    /// How the process exits.
    let status: ExitStatus
    /// What happened and what to do, a line each.
    let lines: [String]

    init(_ status: ExitStatus, _ lines: [String]) {
        self.status = status
        self.lines = lines
    }

    init(_ status: ExitStatus, _ message: String) {
        self.init(status, [message])
    }

    /// Why a file was not written, by the name that the user knows if it is another one.
    init(_ error: DurableFileError, naming path: String? = nil) {
        let reason = String(cString: strerror(error.number))
        self.init(.failed, "cannot write \(path ?? error.path): \(reason)")
    }
}
