internal import Foundation
internal import JobSpecs
internal import TestProgram
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// The compute children as processes, as their daemons start and stop them.
@Suite(.timeLimit(.minutes(5)))
struct ComputeStopTests {
    private let shell: ProgramShell

    init() throws {
        shell = try ProgramShell()
        try TinyModelFolder().write(to: shell.folder + "/model")
        let text = String(repeating: "all that glisters is not gold. ", count: 40)
        try Data(text.utf8).write(to: URL(filePath: shell.folder + "/text.txt"))
    }

    /// Runs a child and asks it to stop once its output has a word; returns how it exits and what it told.
    private func stop(
        _ program: String,
        at word: String,
        kind: String,
        spec: String,
        inputs: [String: String]
    ) throws -> (status: Int32?, events: [ComputeEvent]) {
        let request = ComputeRequest(
            jobID: "j",
            kind: kind,
            attempt: 1,
            spec: spec,
            inputs: inputs.mapValues { shell.folder + "/" + $0 },
            outputFolder: shell.folder + "/output",
            checkpointFolder: shell.folder + "/checkpoints",
            threads: 1
        )
        let line = try JSONEncoder().encode(request)
        try line.write(to: URL(filePath: shell.folder + "/request"))
        // Standard input stays open: its end would be the daemon's.
        let outcome = try shell.run(
            """
            {
                cat request; echo
                until grep -qs '\(word)' events || [ -e status ]; do sleep 0.1; done
                echo '{"command":"cancel"}'
                until [ -e status ]; do sleep 0.1; done
            } | { \(program) compute > events; echo $? > status.new; mv status.new status; }
            cat status
            """
        )
        let told = try String(contentsOfFile: shell.folder + "/events", encoding: .utf8)
        let events = try told.split(separator: "\n").map { try ComputeEvent(line: String($0)) }
        return (Int32(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)), events)
    }

    /// Seen: `evald` was still there a minute after SIGTERM, and compose's kill lost the lease.
    @Test func aBenchmarkEndsInTheMiddleOfARun() throws {
        defer { shell.remove() }
        let (status, events) = try stop(
            "qat-evald",
            at: "benchmark tokens",
            kind: "evaluate",
            spec: """
                {"models": [{"label": "a", "model": "model"}], "tasks": [{"type": "benchmark",
                 "input_len": 8, "output_len": 200000, "num_runs": 1, "warm_up": 0,
                 "allow_long_context": true}]}
                """,
            inputs: ["/models/0/model": "model"]
        )
        #expect(status == ComputeChild.stoppedStatus, "\(events)")
        #expect(events.contains { $0.phase?.hasPrefix("a: benchmark tokens ") == true })
        #expect(events.allSatisfy { ($0.step ?? 0) == 0 && $0.type != .error }, "\(events)")
    }

    /// What a training has done is in a checkpoint before its process ends.
    @Test func aTrainingThatHasMadeStepsStoresThem() throws {
        defer { shell.remove() }
        let (status, events) = try stop(
            "qat-traind",
            at: "\"phase\":\"train\"",
            kind: "train",
            spec: """
                {"model": "model", "data": {"train": ["text.txt"], "seq_length": 32},
                 "quantization": {"algorithm": "fp4"}, "trainer": {"max_steps": 1000000}}
                """,
            inputs: ["/model": "model", "/data/train/0": "text.txt"]
        )
        #expect(status == ComputeChild.stoppedStatus, "\(events.suffix(3))")
        let told = events.last { $0.phase == "train" }?.step ?? 0
        let stored = events.last { $0.type == .checkpoint }?.step ?? 0
        #expect(told > 0 && stored >= told, "step \(stored) is stored, \(told) was told")
    }
}
