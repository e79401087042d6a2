internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol
internal import Synchronization

/// `watch`: streams a job's events until it ends.
struct WatchCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Follow a job or a pipeline and show its results; Ctrl-C leaves it running."
    )

    @Argument(help: "The job or pipeline: \(JobSelector.help).")
    var id: String
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await Self.watch(id, QatHome(), json: output.json)
    }

    /// Follows a job or a pipeline on the output and shows its results; the exit is the job's, or 130
    /// after Ctrl-C.
    static func watch(_ word: String, _ home: QatHome, json: Bool) async throws -> ExitStatus {
        // A name, or `latest`, means another job tomorrow.
        let meant = Mutex(word)
        let ended = try await Interruption.untilInterrupted {
            let printer = EventPrinter(.fitting(json: json))
            defer { printer.finish() }
            return try await GatewayConnection.with(home) { client in
                let target = try await JobSelector(client: client).target(word)
                meant.withLock { $0 = target.id }
                return try await follow(target, printer, client)
            }
        }
        guard let ended else {
            let id = meant.withLock { $0 }
            Console.note("detached; job \(id) goes on, \"qat-client watch \(id)\" follows it again")
            return .interrupted
        }
        switch ended {
        case .job(let job):
            json ? Console.print(JobAnswer.lastLine(of: job)) : showResults(of: job)
        case .pipeline(let results):
            json ? Console.print(results.json) : results.show()
        }
        return ended.status
    }

    private static func follow(
        _ target: JobTarget,
        _ printer: EventPrinter,
        _ client: RPCClient
    ) async throws -> EndedTarget {
        try await TargetWatcher(client: client, target: target).end(
            onStart: { pipeline in
                for job in pipeline.jobs { printer.labels[job.jobID] = job.part }
            },
            onNews: { news in
                switch news {
                case .event(let event): printer.print(event)
                case .waits(let note): printer.print(note)
                }
            }
        )
    }

    /// Prints a job's results, if it has some.
    static func showResults(of job: JobDetail) {
        guard !job.resultsJSON.isEmpty else {
            return
        }
        Console.print("")
        for line in ResultsTable(job, columns: Console.tableColumns).lines {
            Console.print(line)
        }
    }
}

/// A job or a pipeline at its end.
enum EndedTarget: Sendable {
    case job(JobDetail)
    case pipeline(PipelineResults)

    /// How a process exits that waited for it.
    var status: ExitStatus {
        switch self {
        case .job(let job): ExitStatus(jobState: job.summary.state) ?? .failed
        case .pipeline(let results): results.status
        }
    }
}

extension PipelineResults {
    /// Prints how it ended, and its results.
    func show() {
        Console.print("")
        for line in lines(columns: Console.tableColumns) {
            Console.print(line)
        }
    }
}

/// `wait`: blocks until jobs have ended; the exit says how.
struct WaitCommand: ClientVerb {
    static let doesMoreThanPrint = true
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: """
            Wait for jobs and pipelines and show their results; exit with 0 if all succeeded, 1 if one failed, 3 \
            if cancelled, 2 if a word names none.
            """
    )

    @Argument(help: "Jobs and pipelines: \(JobSelector.help).")
    var ids: [String]
    @Option(help: "How long to wait at most: 90s, 1h30m, or seconds; then the exit is 124.")
    var timeout: String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let timeout, Self.limit(timeout) == nil {
            throw ValidationError(
                "--timeout \(TerminalText.short(timeout)): expected 90s, 30m, 2h, 1h30m, 3d, or a number of seconds >= 0."
            )
        }
    }

    /// How long a text says to wait; nil of what says nothing.
    static func limit(_ text: String) -> Duration? {
        if let milliseconds = Deadline.duration(text) { return .milliseconds(milliseconds) }
        guard let seconds = Double(text), seconds >= 0, seconds < 1e9 else { return nil }
        return .seconds(seconds)
    }

    func perform() async throws -> ExitStatus {
        let course = WaitCourse(words: ids, home: QatHome())
        let limit = timeout.flatMap(Self.limit)
        let isDone = try await Interruption.untilInterrupted {
            if limit == .zero { return false }
            return try await Interruption.within(limit) { try await course.wait() } ?? false
        }
        // Of those that have not been seen to end, how they stand now.
        if isDone == false {
            _ = try await Interruption.within(WaitCourse.patience) { try await course.ask() }
        }
        let ended = course.ended
        for target in ended {
            switch target {
            case .job(let job): report(job)
            case .pipeline(let results):
                output.json ? Console.print(results.json) : results.show()
            }
        }
        guard isDone != nil else {
            Console.note("interrupted; jobs go on, \"qat-client wait\" waits for them again")
            return .interrupted
        }
        guard course.isOver else {
            Console.note("the time is up; jobs go on")
            return .timedOut
        }
        return course.status
    }

    private func report(_ job: JobDetail) {
        guard !output.json else {
            Console.print(JobAnswer.json(job))
            return
        }
        let summary = job.summary
        let parts = [summary.jobID, summary.state, summary.reason, summary.reasonMessage]
        let line = parts.filter { !$0.isEmpty }.joined(separator: "  ")
        Console.print(DisplayWidth.printable(line))
        WatchCommand.showResults(of: job)
    }
}
