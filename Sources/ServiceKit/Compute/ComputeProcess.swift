internal import CSignals
internal import Foundation
internal import Jobs
internal import Subprocess
internal import Synchronization
internal import SystemPackage

/// The daemon's end of the compute protocol: one child process.
struct ComputeProcess: Sendable {
    /// How a child ended.
    enum Outcome: Sendable, Equatable {
        /// It printed results (JSON text).
        case succeeded(String)
        /// It failed or died, for a reason.
        case failed(reason: JobReason, message: String)
        /// It stopped because it was asked to.
        case stopped
        /// It stopped because it was asked to, with results (JSON text) of what it did until then.
        case drained(String)
        /// It was killed because that was asked for, or because it did not stop in time.
        case killed
        /// It was not started: this worker has no room for the job, another one may have.
        case unfit(String)
    }

    /// What a daemon may ask of its child.
    enum Command: Sendable, Equatable {
        /// Write a checkpoint and exit.
        case stop
        /// Die now.
        case kill
    }

    let executable: String
    let request: ComputeRequest
    /// How long a stopping child may take to write its checkpoint.
    let stopGrace: Duration
    /// How long a child may print nothing, signs of life included, before it counts as hung.
    var stallLimit = Duration.seconds(1800)
    /// What starts several processes that compute it, of which rank 0 is the child; nil for one.
    var launch: (launcher: RankLauncher, ranks: RankLauncher.Ranks)?

    /// Runs the child to its end.
    ///
    /// `commands`: What to ask of the child; ends when nothing more will be asked. `lines`: What else to write to
    /// it, each without line breaks. `onEvent`: Told each progress, metric and log line, in order.
    /// `onStandardError`: Given what the child prints there.
    func run(
        commands: AsyncStream<Command>,
        lines orders: AsyncStream<String>? = nil,
        onEvent: @escaping @Sendable (ComputeEvent) -> Void,
        onStandardError: @escaping @Sendable (String) -> Void
    ) async throws -> Outcome {
        let line = try JSONEncoder().encode(request)
        let notes = ChildNotes()
        let killsBefore = OutOfMemoryKills.counted()
        let ended: TerminationStatus
        do {
            ended = try await converse(
                line,
                notes,
                commands,
                orders,
                onEvent,
                onStandardError
            )
        } catch let error as SubprocessError
            where launch != nil && error.code == .outputLimitExceeded
        {
            return .failed(
                reason: .killed,
                message: """
                    the launcher (--launcher), or what it started, printed a line without an end (more than 4 MiB on \
                    standard output, or 128 KiB on standard error); standard output is rank 0's alone
                    """
            )
        }
        let kills = OutOfMemoryKills.counted().since(killsBefore)
        let testimony = notes.testimony(kills: kills)
        guard let launch else { return Self.classify(ended, testimony) }
        return Self.classify(ended, of: launch.ranks.count, testimony)
    }

    /// Starts the child with its request and hears it to its end.
    private func converse(
        _ line: Data,
        _ notes: ChildNotes,
        _ commands: AsyncStream<Command>,
        _ orders: AsyncStream<String>?,
        _ onEvent: @escaping @Sendable (ComputeEvent) -> Void,
        _ onStandardError: @escaping @Sendable (String) -> Void
    ) async throws -> TerminationStatus {
        let command = self.command
        return try await Subprocess.run(
            .path(FilePath(command[0])),
            arguments: Arguments(Array(command.dropFirst())),
            // A trap says what it is in one line; a backtrace is for developers.
            environment: .inherit.updating(["SWIFT_BACKTRACE": "enable=no"]),
            input: .inputWriter,
            output: .sequence,
            error: .sequence
        ) { execution in
            do {
                _ = try await execution.standardInputWriter.write(Array(line) + [10])
            } catch  where launch != nil {
                // A launcher that found no node reads nothing; its end says so.
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                let input = Self.feed(orders, &group) {
                    _ = try await execution.standardInputWriter.write($0)
                }
                group.addTask {
                    try await obey(commands, notes) { stop in
                        if stop {
                            input.yield(ComputeRequest.cancelLine)
                        } else {
                            await end { try? execution.send(signal: $0) }
                        }
                    }
                }
                group.addTask {
                    try await watch(notes)
                    await end { try? execution.send(signal: $0) }
                }
                async let standardError: Void = orEnd {
                    for try await line in execution.standardError.strings() {
                        notes.hear(line)
                        onStandardError(line)
                    }
                } by: {
                    try? execution.send(signal: $0)
                }
                let lines = execution.standardOutput.strings(
                    // JSON may hold the other characters that Unicode counts as line breaks.
                    separatedBy: .unicodeScalarSequence(["\n"] as [Unicode.Scalar]),
                    bufferingPolicy: .maxLineLength(ComputeEvent.maximumLineByteCount)
                )
                try await orEnd {
                    var launcherLines = 0
                    for try await line in lines {
                        guard let event = try event(line, &launcherLines) else { continue }
                        notes.touch()
                        pass(event, notes, onEvent)
                    }
                } by: {
                    try? execution.send(signal: $0)
                }
                try await standardError
                // Whoever waits for it reaps it after this: until then the system tells of it.
                try await seePeak(of: execution.processIdentifier.value, notes)
                group.cancelAll()
            }
        }.terminationStatus
    }

    private func pass(
        _ event: ComputeEvent,
        _ notes: ChildNotes,
        _ onEvent: (ComputeEvent) -> Void
    ) {
        switch event.type {
        case .result, .error: notes.conclude(event)
        case .alive: break
        case .progress, .metric, .log, .checkpoint, .replica: onEvent(event)
        }
    }

    /// Reads what a child prints; one that prints what cannot be read is ended, for it would wait for a reader.
    private func orEnd(
        _ read: () async throws -> Void,
        by send: (Subprocess.Signal) -> Void
    ) async throws {
        do {
            try await read()
        } catch {
            await end(send)
            throw error
        }
    }

    /// Lines of a launcher's own that a job's log is told.
    static let launcherLineLimit = 20

    /// The event that a line is, or one that tells the log of what a launcher prints itself, as its greeting; nil of
    /// a line that is not told.
    ///
    /// `launcherLines`: How many of these there were.
    ///
    /// - Throws: ``ServiceError`` (`childProtocol`) of a line of the child's that is no event.
    private func event(_ line: String, _ launcherLines: inout Int) throws -> ComputeEvent? {
        // What rank 0 prints are objects.
        guard launch != nil, !line.hasPrefix("{") else { return try ComputeEvent(line: line) }
        guard line.contains(where: { !$0.isWhitespace }) else { return nil }
        launcherLines += 1
        guard launcherLines <= Self.launcherLineLimit else { return nil }
        let isLast = launcherLines == Self.launcherLineLimit
        var event = ComputeEvent(.log)
        event.message =
            "the launcher printed: \(PlainText.bounded(line))"
            + (isLast ? "; what more it prints is left out" : "")
        return event
    }

    /// Has lines written to the child, those of `orders` and those that go where is returned, by one task: what two
    /// wrote at once might be mixed.
    private static func feed(
        _ orders: AsyncStream<String>?,
        _ group: inout ThrowingTaskGroup<Void, any Error>,
        write: @escaping @Sendable ([UInt8]) async throws -> Void
    ) -> AsyncStream<String>.Continuation {
        let (lines, input) = AsyncStream.makeStream(of: String.self)
        group.addTask {
            // A child that is gone reads nothing; its end says so.
            for await line in lines { try? await write(Array((line + "\n").utf8)) }
        }
        if let orders {
            group.addTask { for await line in orders { input.yield(line) } }
        }
        return input
    }

    /// The program to start, and its arguments.
    private var command: [String] {
        guard let launch else { return [executable, "compute"] }
        return launch.launcher.command(
            launch.ranks,
            RankLauncher.path(of: executable),
            ["compute", "--ranks", String(launch.ranks.count)]
        )
    }

    /// How long a launcher may take to end its ranks, on other nodes, too.
    private static let launcherGrace = Duration.seconds(5)

    /// Kills a child; a launcher is asked first to kill its ranks and what it keeps beside.
    private func end(_ send: (Subprocess.Signal) -> Void) async {
        if launch != nil {
            send(.terminate)
            try? await Task.sleep(for: Self.launcherGrace)
        }
        send(.kill)
    }

    /// Does what is asked of the child: `tell(true)` asks it to stop, `tell(false)` kills it.
    ///
    /// A kill acts at once, also while a stop waits for its grace.
    private func obey(
        _ commands: AsyncStream<Command>,
        _ notes: ChildNotes,
        tell: @escaping @Sendable (_ stop: Bool) async -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var isStopping = false
            for await command in commands {
                switch command {
                case .stop where isStopping: break
                case .stop:
                    isStopping = true
                    await tell(true)
                    group.addTask {
                        try await Task.sleep(for: stopGrace)
                        notes.markKilled()
                        await tell(false)
                    }
                case .kill:
                    notes.markKilled()
                    await tell(false)
                }
            }
            try await group.waitForAll()
        }
    }

    /// Waits for the end of a child that has closed its output, and notes how much memory it used.
    private func seePeak(of pid: pid_t, _ notes: ChildNotes) async throws {
        var peak = qat_peak_of_ended_child(pid)
        while peak == 0 {
            try await Task.sleep(for: .milliseconds(5))
            peak = qat_peak_of_ended_child(pid)
        }
        if peak > 0 { notes.see(peak: Int(peak)) }
    }

    /// Returns when the child has been silent for too long.
    private func watch(_ notes: ChildNotes) async throws {
        while notes.silence < stallLimit {
            try await Task.sleep(for: min(.seconds(1), stallLimit / 4))
        }
        notes.markStalled(after: stallLimit)
    }

    /// What a child's end means.
    static func classify(_ status: TerminationStatus, _ child: ChildTestimony) -> Outcome {
        if let silence = child.stalledAfter {
            return .failed(
                reason: .stalled,
                message: """
                    the compute child told and computed nothing for \(silence.components.seconds) s and \
                    was killed\(child.words); --stall-limit sets how long it may
                    """
            )
        }
        switch status {
        case .exited(let code) where code == ComputeChild.stoppedStatus:
            guard let last = child.last, last.type == .result else { return .stopped }
            return .drained(last.json ?? "{}")
        case .exited(0):
            if let last = child.last, last.type == .result {
                return .succeeded(last.json ?? "{}")
            }
            return .failed(
                reason: .internalError,
                message: "the compute child ended without results\(child.words)"
            )
        case .exited(let code):
            if let last = child.last, last.type == .error {
                return .failed(
                    reason: last.reason ?? .internalError,
                    message: last.message ?? "the compute child failed without a message"
                )
            }
            return .failed(
                reason: .internalError,
                message: "the compute child exited with status \(code)\(child.words)"
            )
        case .signaled(let signal):
            return child.wasKilled ? .killed : death(signal, child)
        }
    }

    /// What the end of a launcher of so many ranks means.
    ///
    /// It tells of a rank that died by its own exit status, as a shell does, or not at all, as where a node is
    /// gone; that is a loss like any other, and the job goes on from its checkpoint.
    static func classify(
        _ status: TerminationStatus,
        of ranks: Int,
        _ child: ChildTestimony
    ) -> Outcome {
        guard case .exited(let code) = status, child.stalledAfter == nil else {
            return classify(status, child)
        }
        if child.wasKilled, child.last == nil, code != ComputeChild.stoppedStatus { return .killed }
        if child.last == nil, code == 0 {
            return .failed(
                reason: .killed,
                message: """
                    the launcher (--launcher) ended as if all were well, and none of the \(ranks) ranks told results\
                    \(child.words); it has to start them, and to bring rank 0's output back
                    """
            )
        }
        // What rank 0 told last holds, whatever became of the launcher then.
        if child.last != nil || code == ComputeChild.stoppedStatus || code == 0 {
            return classify(status, child)
        }
        // Signals of faults; above them statuses are the launcher's own.
        let signals = 129...(128 + SIGSYS)
        if signals.contains(code), code != 128 + SIGKILL, code != 128 + SIGTERM {
            return death(code - 128, child)
        }
        // Launchers frame what they say with lines.
        let words = child.lastWords.filter { $0.contains(where: \.isLetter) }.suffix(2)
        let said = words.isEmpty ? "" : ": " + words.joined(separator: " | ")
        return .failed(
            reason: .killed,
            message: "one of the job's \(ranks) ranks was lost (status \(code))\(said)"
        )
    }

    /// What is known of a signal that nobody here sent.
    private static func death(_ signal: Int32, _ child: ChildTestimony) -> Outcome {
        let memory =
            child.peakByteCount.map { "; it had used \($0 >> 20) MiB of memory at most" } ?? ""
        if let wanted = child.refusedByteCount {
            let limit = MemoryLimit.current
            return .failed(
                reason: .outOfMemory,
                message: """
                    the compute child asked for \(wanted >> 20) MiB of memory more and got none; it may have \
                    \(limit.byteCount >> 20) MiB (\(limit.name))\(memory); lower micro_batch_size or \
                    seq_length
                    """
            )
        }
        guard signal == SIGKILL else {
            let name = strsignal(signal).map { String(cString: $0) } ?? "?"
            return .failed(
                reason: .internalError,
                message:
                    "the compute child died of signal \(signal) (\(name))\(child.words)\(memory)"
            )
        }
        guard let kills = child.outOfMemoryKills, !kills.isEmpty else {
            return .failed(
                reason: .killed,
                message: """
                    the compute child was killed from outside (signal 9)\(memory); the system counts \
                    no kill for lack of memory meanwhile
                    """
            )
        }
        return .failed(
            reason: .outOfMemory,
            message: """
                the system killed the compute child for lack of memory (signal 9; \(kills))\(memory); \
                lower micro_batch_size or seq_length
                """
        )
    }
}
