internal import Foundation

/// Starts processes that outlive the one that starts them.
enum ProcessLauncher {
    // POSIX_SPAWN_SETSID of glibc's <spawn.h>, which shows it to GNU sources only.
    private static let newSessionFlag: Int32 = 0x80

    /// Starts a program with a log file as its output and error stream, and no input.
    ///
    /// Signals have their default action in it, none is blocked, and no descriptor is inherited.
    ///
    /// - Parameters:
    ///   - program: The executable's path.
    ///   - arguments: What follows the program's name.
    ///   - log: The file that both streams are appended to.
    ///   - ownSession: Whether it leaves the terminal's session, so that neither Ctrl-C nor a
    ///     closed terminal reaches it.
    /// - Returns: The process.
    /// - Throws: ``ClientError`` (`failed`) if the system refuses.
    static func start(
        _ program: String,
        _ arguments: [String],
        log: String,
        ownSession: Bool
    ) throws -> ProcessIdentity {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        for descriptor in openDescriptors() where descriptor > 2 {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGHUP, SIGINT, SIGTERM, SIGPIPE] {
            sigaddset(&signals, number)
        }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags =
            Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
            | (ownSession ? newSessionFlag : Int32(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var processID: pid_t = 0
        let status = withCStrings([program] + arguments) { pointers in
            posix_spawn(&processID, program, &actions, &attributes, pointers, environ)
        }
        guard status == 0 else {
            throw ClientError(
                .failed,
                "cannot start \(program): \(String(cString: strerror(status)))"
            )
        }
        // Not reaped yet, so it is either alive or a zombie: its number is still its own.
        return ProcessIdentity(processID: processID)
            ?? ProcessIdentity(processID: processID, startTicks: 0, bootID: "")
    }

    // A pipe of the caller's shell that a daemon held open would keep its reader waiting for ever.
    private static func openDescriptors() -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { Int32($0) }
    }

    private static func withCStrings<Result>(
        _ texts: [String],
        _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = texts.map { strdup($0) }
        defer { copies.forEach { free($0) } }
        return (copies + [nil]).withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else {
                preconditionFailure("an argument list is never empty")
            }
            return body(start)
        }
    }
}
