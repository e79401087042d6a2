internal import Foundation
internal import Synchronization

/// Files that a long work writes, which a signal that ends the process takes with it.
final class UnfinishedFiles: Sendable {
    private struct State {
        var paths: [String] = []
        /// While files take their names a signal waits: it would leave some of them.
        var isTakingNames = false
        var waiting: Int32?
    }

    private let state = Mutex(State())

    /// Runs `body`; SIGINT, SIGTERM and SIGHUP remove what is unfinished by then and end the process.
    static func whileUnfinished<Result>(_ body: (UnfinishedFiles) throws -> Result) rethrows
        -> Result
    {
        let files = UnfinishedFiles()
        let key = SignalPipe.shared.hear([SIGINT, SIGTERM, SIGHUP]) { files.end(by: $0) }
        defer { SignalPipe.shared.end(key) }
        return try body(files)
    }

    /// Says which files are being written: this process' own, that nobody else writes.
    func begin(_ paths: [String]) {
        state.withLock { $0.paths = paths }
    }

    /// Runs what gives the files their names; a signal meanwhile acts after it.
    func takeNames(_ body: () throws -> Void) rethrows {
        state.withLock { $0.isTakingNames = true }
        defer {
            let waiting = state.withLock { state in
                state.isTakingNames = false
                return state.waiting
            }
            if let waiting { end(by: waiting) }
        }
        try body()
        state.withLock { $0.paths = [] }
    }

    private func end(by number: Int32) {
        let isWaiting = state.withLock { state in
            if state.isTakingNames {
                state.waiting = number
            } else {
                for path in state.paths { unlink(path) }
            }
            return state.isTakingNames
        }
        guard !isWaiting else { return }
        guard number != SIGINT else { _exit(ExitStatus.interrupted.rawValue) }
        // Whoever sent it is told so by how the process ended.
        signal(number, SIG_DFL)
        kill(getpid(), number)
    }
}
