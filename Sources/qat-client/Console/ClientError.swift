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
}
