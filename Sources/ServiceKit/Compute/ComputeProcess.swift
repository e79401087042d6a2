internal import Foundation
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
        case failed(reason: String, message: String)
        /// It stopped because it was asked to.
        case stopped
    }

    /// What a daemon may ask of its child.
    enum Command: Sendable {
        /// Write a checkpoint and exit.
        case stop
        /// Die now.
        case kill
    }

    let executable: String
    let request: ComputeRequest
    /// How long a stopping child may take to write its checkpoint.
    let stopGrace: Duration

    /// Runs the child to its end.
    ///
    /// `commands`: What to ask of the child; ends when nothing more will be asked. `onEvent`: Told
    /// each progress, metric and log line, in order. `onStandardError`: Given what the child prints
    /// there.
    func run(
        commands: AsyncStream<Command>,
        onEvent: @escaping @Sendable (ComputeEvent) -> Void,
        onStandardError: @escaping @Sendable (String) -> Void
    ) async throws -> Outcome {
        let line = try JSONEncoder().encode(request)
        let notes = ChildNotes()
        let result = try await Subprocess.run(
            .path(FilePath(executable)),
            arguments: ["compute"],
            input: .inputWriter,
            output: .sequence,
            error: .sequence
        ) { execution in
            _ = try await execution.standardInputWriter.write(Array(line) + [10])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await command in commands {
                        switch command {
                        case .stop:
                            let text = Array("{\"command\":\"cancel\"}\n".utf8)
                            _ = try? await execution.standardInputWriter.write(text)
                            try await Task.sleep(for: stopGrace)
                            notes.markKilled()
                            try? execution.send(signal: .kill)
                        case .kill:
                            notes.markKilled()
                            try? execution.send(signal: .kill)
                        }
                    }
                }
                async let standardError: Void = {
                    for try await line in execution.standardError.strings() {
                        notes.hear(line)
                        onStandardError(line)
                    }
                }()
                let lines = execution.standardOutput.strings(
                    // JSON may hold the other characters that Unicode counts as line breaks.
                    separatedBy: .unicodeScalarSequence(["\n"] as [Unicode.Scalar]),
                    bufferingPolicy: .maxLineLength(ComputeEvent.maximumLineByteCount)
                )
                for try await line in lines {
                    let event = try ComputeEvent(line: line)
                    if event.type == .result || event.type == .error {
                        notes.conclude(event)
                    } else {
                        onEvent(event)
                    }
                }
                try await standardError
                group.cancelAll()
            }
        }
        return Self.classify(
            result.terminationStatus,
            last: notes.last,
            lastWords: notes.lastWords,
            wasKilled: notes.wasKilled
        )
    }

    static func classify(
        _ status: TerminationStatus,
        last: ComputeEvent?,
        lastWords: [String],
        wasKilled: Bool
    ) -> Outcome {
        let words = lastWords.isEmpty ? "" : "; it last said: " + lastWords.joined(separator: " | ")
        switch status {
        case .exited(let code) where code == ComputeChild.stoppedStatus:
            return .stopped
        case .exited(0):
            if let last, last.type == .result {
                return .succeeded(last.json ?? "{}")
            }
            return .failed(
                reason: "INTERNAL",
                message: "the compute child ended without results\(words)"
            )
        case .exited(let code):
            if let last, last.type == .error {
                return .failed(
                    reason: last.reason ?? "INTERNAL",
                    message: last.message ?? "the compute child failed without a message"
                )
            }
            return .failed(
                reason: "INTERNAL",
                message: "the compute child exited with status \(code)\(words)"
            )
        case .signaled(let signal):
            if wasKilled {
                return .stopped
            }
            if signal == SIGKILL {
                return .failed(
                    reason: "OUT_OF_MEMORY",
                    message: """
                        the compute child was killed (signal 9), most likely by the system for lack \
                        of memory; lower micro_batch_size or seq_length
                        """
                )
            }
            let name = strsignal(signal).map { String(cString: $0) } ?? "?"
            return .failed(
                reason: "INTERNAL",
                message: "the compute child died of signal \(signal) (\(name))\(words)"
            )
        }
    }
}

/// What is remembered of a child while it runs, for the verdict at its end.
private final class ChildNotes: Sendable {
    private struct State {
        var last: ComputeEvent?
        var lastWords: [String] = []
        var wasKilled = false
    }

    private let state = Mutex(State())

    var last: ComputeEvent? { state.withLock { $0.last } }
    var lastWords: [String] { state.withLock { $0.lastWords } }
    var wasKilled: Bool { state.withLock { $0.wasKilled } }

    func conclude(_ event: ComputeEvent) {
        state.withLock { $0.last = event }
    }

    func hear(_ line: String) {
        state.withLock { $0.lastWords = Array(($0.lastWords + [line]).suffix(5)) }
    }

    func markKilled() {
        state.withLock { $0.wasKilled = true }
    }
}
