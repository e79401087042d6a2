internal import CTestProgram
internal import Foundation
internal import Synchronization

/// A program that a test started: real processes, from threads of which some hundred start them at once.
///
/// Foundation's `Process` is not used in tests: it walks `/proc/self/fd` and reads 256 bytes of each
/// name, beyond the 32 KiB that one read of the folder gives; with some 1,360 descriptors open, as while
/// all tests run, that ended the whole run. Nothing is inherited here, the test runner's own output least
/// of all: a daemon that outlives a crash would keep whoever reads it waiting for ever.
package final class TestProgram: Sendable {
    /// How a program ended.
    package enum Ending: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)

        /// The exit status; what a shell says of a signal.
        package var status: Int32 {
            switch self {
            case .exited(let status): status
            case .killed(let signal): 128 + signal
            }
        }
    }

    /// Where a stream leads.
    package enum Stream: Sendable {
        case nothing
        case file(String)
        case descriptor(Int32)
    }

    /// The program could not be started.
    package struct StartError: Error {
        package let program: String
        package let code: Int32
    }

    package let processID: Int32
    private let ending = Mutex<Ending?>(nil)

    /// Starts a program; `env NAME` finds one in the path.
    ///
    /// `environment`: What is other than here; nil takes a variable away.
    package init(
        _ program: String,
        _ arguments: [String],
        environment: [String: String?] = [:],
        folder: String = "/",
        input: Stream = .nothing,
        output: Stream = .nothing,
        errors: Stream = .nothing
    ) throws {
        var variables = ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value }
        let opened = [
            Self.open(input, O_RDONLY), Self.open(output, O_WRONLY | O_CREAT | O_APPEND),
            Self.open(errors, O_WRONLY | O_CREAT | O_APPEND),
        ]
        defer { opened.forEach { close($0) } }
        var identifier: pid_t = 0
        let code = Self.withCStrings([program] + arguments) { arguments in
            Self.withCStrings(variables.map { "\($0)=\($1)" }) { variables in
                test_program_start(program, arguments, variables, folder, opened, &identifier)
            }
        }
        guard code == 0 else { throw StartError(program: program, code: code) }
        processID = identifier
    }

    // Nobody else would reap it, and an exit test of Swift Testing, which looks at every ended child there
    // is, would look at this one for ever.
    deinit {
        signal(SIGKILL)
        wait()
    }

    /// How it ended; nil while it runs.
    package func poll() -> Ending? {
        ending.withLock { ending in
            var status: Int32 = 0
            if ending == nil, waitpid(processID, &status, WNOHANG) == processID {
                let signal = status & 0x7F
                ending = signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal: signal)
            }
            return ending
        }
    }

    package var isRunning: Bool { poll() == nil }

    /// Waits for its end.
    @discardableResult
    package func wait() -> Ending {
        while true {
            if let ending = poll() { return ending }
            var information = siginfo_t()
            waitid(P_PID, id_t(processID), &information, WEXITED | WNOWAIT)
        }
    }

    /// Sends it a signal unless it has ended.
    package func signal(_ number: Int32) {
        if isRunning { kill(processID, number) }
    }

    /// What a program left behind.
    package struct Outcome: Sendable {
        package let status: Int32
        package let output: String
        package let errors: String
    }

    /// Runs a program to its end.
    package static func run(
        _ program: String,
        _ arguments: [String],
        environment: [String: String?] = [:],
        folder: String = "/",
        input: String = ""
    ) throws -> Outcome {
        let names = ["in", "out", "err"].map {
            NSTemporaryDirectory() + "/qat-\($0)-" + UUID().uuidString
        }
        defer { names.forEach { unlink($0) } }
        try Data(input.utf8).write(to: URL(fileURLWithPath: names[0]))
        let program = try TestProgram(
            program,
            arguments,
            environment: environment,
            folder: folder,
            input: .file(names[0]),
            output: .file(names[1]),
            errors: .file(names[2])
        )
        return Outcome(
            status: program.wait().status,
            output: try String(contentsOfFile: names[1], encoding: .utf8),
            errors: try String(contentsOfFile: names[2], encoding: .utf8)
        )
    }

    /// Writes a shell script that can be started at once.
    ///
    /// Another process writes it: a descriptor of ours open for writing is in every child that some other
    /// thread has forked and that has not yet executed its program, and until then the system refuses to
    /// start the file ("text file busy").
    package static func install(script: String, at path: String) throws {
        let made = try run(
            "/bin/sh",
            ["-c", #"cat > "$0" && chmod 700 "$0""#, path],
            input: "#!/bin/sh\n\(script)\n"
        )
        guard made.status == 0 else { throw StartError(program: path, code: made.status) }
    }

    /// Copies a program that can be started at once, for the same reason.
    package static func install(copyOf program: String, at path: String) throws {
        let made = try run("/bin/cp", [program, path])
        guard made.status == 0 else { throw StartError(program: path, code: made.status) }
    }

    private static func open(_ stream: Stream, _ flags: Int32) -> Int32 {
        switch stream {
        case .nothing: Foundation.open("/dev/null", flags | O_CLOEXEC)
        case .file(let path): Foundation.open(path, flags | O_CLOEXEC, 0o600)
        case .descriptor(let descriptor): fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        }
    }

    private static func withCStrings<Result>(
        _ texts: [String],
        _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        let copies: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { copies.forEach { free($0) } }
        return copies.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else {
                preconditionFailure("the terminator is always there")
            }
            return body(start)
        }
    }
}
