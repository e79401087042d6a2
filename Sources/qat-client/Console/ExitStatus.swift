internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// How the process exits; scripts rely on the numbers.
enum ExitStatus: Int32, Sendable {
    /// What was asked for is done; for a job, it succeeded.
    case succeeded = 0
    /// The job failed, or a local process did.
    case failed = 1
    /// The command line, the job file, the profile or one of the files that it names is wrong.
    case usage = 2
    /// The job was cancelled.
    case cancelled = 3
    /// The gateway cannot be reached or the connection was lost; jobs are unaffected.
    case unreachable = 4
    /// The gateway refused, or is none that this client's authority vouches for.
    case rejected = 5
    /// The time given to `wait` ran out.
    case timedOut = 124
    /// Ctrl-C ended the verb, not the job: what comes after `&&` must not run.
    case interrupted = 130

    /// The exit of a call that failed.
    init(_ error: RPCError) {
        switch error.code {
        case _ where error.isRefusedConnection: self = .rejected
        case .unavailable, .deadlineExceeded, .cancelled: self = .unreachable
        case .invalidArgument, .notFound, .alreadyExists, .outOfRange, .unimplemented:
            self = .usage
        case .ok: self = .succeeded
        case .unknown, .permissionDenied, .resourceExhausted, .failedPrecondition, .aborted,
            .internal, .dataLoss, .unauthenticated:
            self = .rejected
        }
    }

    /// The exit of a job in a terminal state; nil for states that are not.
    init?(jobState: String) {
        switch JobState(rawValue: jobState) {
        case .succeeded: self = .succeeded
        case .failed: self = .failed
        case .cancelled: self = .cancelled
        default: return nil
        }
    }

    /// The exit for several jobs: a failure outweighs a cancellation.
    static func worst(_ statuses: [ExitStatus]) -> ExitStatus {
        let order: [ExitStatus] = [.failed, .cancelled, .timedOut, .interrupted]
        return order.first(where: statuses.contains) ?? .succeeded
    }

    /// Prints an error that ended a verb, and returns the exit it asks for.
    static func report(_ error: any Error) -> Int32 {
        switch error {
        case let error as ClientError:
            Console.complain(error.lines)
            return error.status.rawValue
        case let error as JobSpecError:
            Console.complain(error.violations.map { "\($0.path): \($0.message)" })
            return usage.rawValue
        case let error as RPCError:
            Console.complain([
                error.message + error.violations.map { "; \($0.path): \($0.description)" }.joined()
            ])
            return ExitStatus(error).rawValue
        case is CancellationError:
            return cancelled.rawValue
        case _ where FileFault(error) != nil:
            Console.complain([FileFault.text(of: error)])
            return failed.rawValue
        default:
            return reportParserError(error)
        }
    }

    // ArgumentParser exits with 64 for a wrong command line; the suite's number is 2.
    private static func reportParserError(_ error: any Error) -> Int32 {
        let code = QatClient.exitCode(for: error)
        let text = QatClient.fullMessage(for: error)
        if !text.isEmpty {
            code == .success ? Console.print(text) : Console.note(text)
        }
        return code == .validationFailure ? usage.rawValue : code.rawValue
    }
}
