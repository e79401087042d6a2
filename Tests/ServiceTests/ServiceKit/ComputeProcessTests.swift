internal import Foundation
internal import Jobs
internal import Subprocess
internal import TestProgram
internal import Testing

@testable internal import ServiceKit

/// How the ends of a child are understood; the children are real processes in the last cases.
struct ComputeProcessTests {
    private func event(_ type: ComputeEvent.Kind, message: String? = nil) -> ComputeEvent {
        var event = ComputeEvent(type)
        event.message = message
        event.reason = type == .error ? .userError : nil
        event.json = type == .result ? #"{"x":1}"# : nil
        return event
    }

    private func verdict(
        _ status: TerminationStatus,
        _ last: ComputeEvent? = nil,
        words: [String] = [],
        wasKilled: Bool = false,
        kills: String? = nil
    ) -> ComputeProcess.Outcome {
        let child = ChildTestimony(
            last: last,
            lastWords: words,
            wasKilled: wasKilled,
            peakByteCount: 3 << 30,
            outOfMemoryKills: kills
        )
        return ComputeProcess.classify(status, child)
    }

    /// The child's words are the gateway's: one that is none is told, and not quietly taken for another.
    @Test func aReasonIsOneOfTheJobs() throws {
        for reason in JobReason.allCases where reason.isOfWorkers {
            var event = ComputeEvent(.error)
            event.reason = reason
            let line = String(decoding: try JSONEncoder().encode(event), as: UTF8.self)
            #expect(line.contains("\"\(reason.rawValue)\""))
            #expect(try ComputeEvent(line: line) == event)
        }
        let error = #expect(throws: ServiceError.self) {
            try ComputeEvent(line: #"{"type":"error","reason":"OOM","message":"too much"}"#)
        }
        #expect("\(error.map { "\($0)" } ?? "")".contains(#""reason":"OOM""#))
    }

    @Test func endsAreClassified() {
        #expect(verdict(.exited(0), event(.result)) == .succeeded(#"{"x":1}"#))
        #expect(verdict(.exited(ComputeChild.stoppedStatus)) == .stopped)
        #expect(
            verdict(.exited(1), event(.error, message: "no such text"))
                == .failed(reason: .userError, message: "no such text")
        )
        #expect(verdict(.signaled(SIGKILL), wasKilled: true) == .killed)
        let kills = "the control group's oom_kill rose from 3 to 4"
        guard case .failed(.outOfMemory, let advice) = verdict(.signaled(SIGKILL), kills: kills)
        else {
            Issue.record("a counted kill is lack of memory")
            return
        }
        #expect(advice.contains(kills) && advice.contains("3072 MiB"))
        #expect(advice.contains("micro_batch_size"))
        // Where nothing is counted, nobody knows who it was.
        for kills in ["", nil] {
            guard case .failed(.killed, let cause) = verdict(.signaled(SIGKILL), kills: kills)
            else {
                Issue.record("a kill that no counter saw is not called lack of memory")
                return
            }
            #expect(cause.contains("signal 9"))
        }
        guard
            case .failed(.internalError, let trap) = verdict(.signaled(SIGSEGV), words: ["index 3"])
        else {
            Issue.record("a trap is an internal failure")
            return
        }
        #expect(trap.contains("signal 11") && trap.contains("index 3"))
        // A clean exit without results is no success.
        guard case .failed(.internalError, _) = verdict(.exited(0)) else {
            Issue.record("an exit without results succeeded")
            return
        }
        guard case .failed(.internalError, _) = verdict(.exited(0), event(.error, message: "late"))
        else {
            Issue.record("an exit after an error succeeded")
            return
        }
    }

    /// Runs a shell script in the place of a daemon's compute mode.
    private func run(
        _ script: String,
        ask: [ComputeProcess.Command] = [],
        stallLimit: Duration = .seconds(600)
    ) async throws -> (outcome: ComputeProcess.Outcome, events: [ComputeEvent]) {
        let path = NSTemporaryDirectory() + "/qat-child-" + UUID().uuidString
        try TestProgram.install(script: "read request\n\(script)", at: path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (commands, sender) = AsyncStream<ComputeProcess.Command>.makeStream()
        let (events, collector) = AsyncStream<ComputeEvent>.makeStream()
        let process = ComputeProcess(
            executable: path,
            request: ComputeRequest(
                jobID: "j",
                kind: "train",
                attempt: 1,
                spec: "{}",
                inputs: [:],
                outputFolder: "/nowhere",
                checkpointFolder: "/nowhere",
                threads: 1
            ),
            stopGrace: .seconds(600),
            stallLimit: stallLimit
        )
        let outcome = try await process.run(
            commands: commands,
            onEvent: { event in
                collector.yield(event)
                for command in ask { sender.yield(command) }
            },
            onStandardError: { _ in }
        )
        collector.finish()
        return (outcome, await events.reduce(into: []) { $0.append($1) })
    }

    @Test func realChildrenSpeakAndEnd() async throws {
        // A line separator of Unicode inside a string does not end the line.
        let script = """
            printf '{"type":"log","message":"a\\342\\200\\250b"}\\n'
            printf '{"type":"progress","step":1,"totalSteps":2}\\n'
            printf '{"type":"result","json":"{}"}\\n'
            """
        let (outcome, events) = try await run(script)
        #expect(outcome == .succeeded("{}"))
        #expect(events.map(\.message) == ["a\u{2028}b", nil])
        #expect(events.last?.step == 1)
    }

    @Test func aChildThatDiesIsAFailureAndAKilledOneIsStopped() async throws {
        guard
            case .failed(.internalError, let message) = try await run("echo dying >&2; exit 9")
                .outcome
        else {
            Issue.record("an exit with 9 is a failure")
            return
        }
        #expect(message.contains("status 9") && message.contains("dying"))
        let hanging = #"printf '{"type":"log","message":"x"}\n'; exec sleep 600"#
        #expect(try await run(hanging, ask: [.kill]).outcome == .killed)
    }

    /// Both waited for the stop's grace of two minutes before the kill was even read.
    @Test(.timeLimit(.minutes(5)))
    func aKillActsAtOnceWhateverWasAskedBefore() async throws {
        let deaf = #"printf '{"type":"log","message":"x"}\n'; exec sleep 600"#
        let start = ContinuousClock.now
        #expect(try await run(deaf, ask: [.stop, .stop, .kill]).outcome == .killed)
        // The fault took two graces of two minutes; a busy machine may take its time.
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    @Test(.timeLimit(.minutes(5)))
    func aSilentChildIsEndedByTheStallLimit() async throws {
        let script = #"printf '{"type":"log","message":"x"}\n'; exec sleep 600"#
        guard
            case .failed(.stalled, let message) = try await run(
                script,
                stallLimit: .milliseconds(500)
            ).outcome
        else {
            Issue.record("a child that neither ends nor speaks is hung")
            return
        }
        #expect(message.contains("--stall-limit"))
    }

    /// Signs of life are for the stall limit, and no news for the gateway.
    @Test func signsOfLifeAreHeardAndNotPassedOn() async throws {
        let script = """
            for i in 1 2 3; do printf '{"type":"alive"}\\n'; done
            printf '{"type":"log","message":"x"}\\n{"type":"result","json":"{}"}\\n'
            """
        let (outcome, events) = try await run(script)
        #expect(outcome == .succeeded("{}"))
        #expect(events.map(\.type) == [.log])
    }

    @Test func aTrapSpeaksInOneLine() async throws {
        let script = """
            echo 'Array.swift:12: Fatal error: Index out of range' >&2
            for i in $(seq 190); do echo "frame $i" >&2; done
            test "$SWIFT_BACKTRACE" = enable=no && kill -ILL $$
            """
        guard case .failed(.internalError, let message) = try await run(script).outcome else {
            Issue.record("a trap is an internal failure")
            return
        }
        #expect(!message.contains("frame"))
    }

    /// Seen, under `ulimit -v`: "died of signal 4", twice, without a word of memory.
    @Test func anAllocationThatFailedIsLackOfMemory() async throws {
        // The Swift runtime's words, and those of a buffer.
        for words in [" of memory with alignment 8", " of memory"] {
            let script = """
                echo 'Fatal error: failed to allocate 2097152032 bytes\(words)' >&2
                echo 'Current stack trace:' >&2
                kill -ABRT $$
                """
            guard case .failed(.outOfMemory, let message) = try await run(script).outcome else {
                Issue.record("memory that was not to be had is lack of memory")
                return
            }
            let limit = MemoryLimit.current
            let expected = [
                "2000 MiB", "\(limit.byteCount >> 20) MiB", limit.name, "micro_batch_size",
            ]
            for word in expected { #expect(message.contains(word), "\(message)") }
            #expect(!message.contains("\n"))
        }
    }

    /// Seen: "it had used 0 MiB of memory at most", of a child that lived for less than a second.
    @Test func whatAChildUsedIsTheSystemsCount() async throws {
        // dd reads into a buffer of 64 MiB, and is waited for by the shell.
        let script = "dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; kill -SEGV $$"
        guard case .failed(.internalError, let message) = try await run(script).outcome,
            let found = message.firstMatch(of: /it had used ([0-9]+) MiB of memory at most/)
        else {
            Issue.record("a child that died tells what it used")
            return
        }
        #expect((64...1024).contains(try #require(Int(found.1))), "\(message)")
    }

    @Test func aKillFromOutsideIsNotCalledLackOfMemory() async throws {
        guard case .failed(.killed, let message) = try await run("kill -KILL $$").outcome else {
            Issue.record("no counter moved, so nobody ran out of memory")
            return
        }
        #expect(message.contains("signal 9"))
    }

    @Test func aChildThatDoesNotSpeakTheProtocolIsAnError() async throws {
        let error = await #expect(throws: ServiceError.self) {
            try await run("echo hello; exec sleep 600")
        }
        #expect(error?.message.contains("hello") == true)
    }
}
