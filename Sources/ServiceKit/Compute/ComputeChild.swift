internal import CSignals
internal import Foundation
internal import Jobs
internal import Protocol

/// The child's end of the compute protocol; see ``ComputeRequest`` and ``ComputeEvent``.
public enum ComputeChild {
    /// Exit status of an attempt that stopped because it was asked to.
    public static let stoppedStatus: Int32 = 75
    /// Exit status of an attempt that reported a failure.
    static let failedStatus: Int32 = 1

    /// Seconds between signs of life; the shortest stall limit is a minute.
    private static let lifeInterval = 10.0

    /// Reads the request from standard input, runs `work`, and exits.
    ///
    /// Standard input stays open as a lifeline: when it closes, the daemon is gone, and the child
    /// exits at once; what it has not put into a checkpoint by then is lost. A stop ends it at once,
    /// too, unless the work holds something; see ``ComputeReporter/holdWork(_:)``.
    public static func run(
        _ work: (ComputeRequest, ComputeReporter) throws -> Void
    ) -> Never {
        // Ctrl-C in a terminal reaches the whole process group; only the daemon may decide.
        signal(SIGINT, SIG_IGN)
        signal(SIGTERM, SIG_IGN)
        let reporter = ComputeReporter(output: .standardOutput)
        guard let line = readLine(),
            let request = try? JSONDecoder().decode(ComputeRequest.self, from: Data(line.utf8))
        else {
            StandardStreams.note("compute is started by its daemon only")
            exit(2)
        }
        Thread.detachNewThread {
            while let line = readLine() {
                if line == ComputeRequest.cancelLine {
                    reporter.requestStop { _exit(stoppedStatus) }
                } else {
                    reporter.hear(line)
                }
            }
            _exit(failedStatus)
        }
        Thread.detachNewThread {
            while true {
                Thread.sleep(forTimeInterval: lifeInterval)
                reporter.tellLife()
            }
        }
        do {
            try work(request, reporter)
            _exit(0)
        } catch is AttemptStopped {
            _exit(stoppedStatus)
        } catch {
            report(error, reporter)
            _exit(failedStatus)
        }
    }

    /// Runs the work of a rank other than 0, which talks to no daemon, and exits.
    ///
    /// It ends with the process that started it. What it fails by goes to standard error, with its rank, and
    /// `abort` has to end all others.
    public static func follow(
        rank: Int,
        _ work: () throws -> Void,
        abort: (_ status: Int32) -> Never
    ) -> Never {
        signal(SIGINT, SIG_IGN)
        guard qat_die_with_parent() != 0 else { _exit(failedStatus) }
        do {
            try work()
            _exit(0)
        } catch {
            let text = FileFault.text(of: error).replacingOccurrences(of: "\n", with: " ")
            StandardStreams.note("rank \(rank): \(text)")
            abort(failedStatus)
        }
    }

    /// Ends a process that cannot become a rank.
    public static func end(saying message: String) -> Never {
        StandardStreams.complain(message)
        _exit(failedStatus)
    }

    private static let noMemory = String(cString: strerror(ENOMEM))

    private static func report(_ error: any Error, _ reporter: ComputeReporter) {
        var event = ComputeEvent(.error)
        let failure = error as? ComputeFailure
        event.message = FileFault.text(of: error).replacingOccurrences(of: "\n", with: " ")
        var reason = failure?.reason ?? (error.isFullDisk ? .noDisk : .internalError)
        // As of a file that finds no place in what is left of the address space.
        if failure == nil, let words = event.message, words.contains(Self.noMemory) {
            let limit = MemoryLimit.current
            reason = .outOfMemory
            event.message = "\(words); it may have \(limit.byteCount >> 20) MiB (\(limit.name))"
        }
        event.reason = reason
        reporter.send(event)
    }
}
