internal import Foundation
internal import Testing

/// Distillation with all that it may have, through the built programs.
extension LocalSuiteTests {
    private static func distilling(_ distillation: String, steps: Int) -> String {
        """
        {"model": "model", "quantization": {"algorithm": "mxfp4"},
         "distillation": {"teacher": "model", \(distillation)},
         "trainer": {"max_steps": \(steps), "max_epochs": 99, "micro_batch_size": 16,
                     "limit_val_batches": 4, "log_every_n_steps": 2},
         "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 64,
                  "sampling": "epoch"}, "seed": 7}
        """
    }

    /// Of 40 steps of 16 windows, each window is computed once and then read.
    @Test func windowsThatComeAgainNeedNoTeacher() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let kept = Self.distilling(#""teacher_cache": {"top_k": 8}"#, steps: 40)
        let mixed = Self.distilling(
            #""loss": "js", "cross_entropy": 0.25, "hidden": 0.5"#,
            steps: 2
        )
        try suite.write(#"{"jobs": {"kept": \#(kept), "mixed": \#(mixed)}}"#, "jobs.json")
        let submitted = try suite.json(
            try suite.client("submit", suite.folder + "/jobs.json", "--json").output
        )
        let id = try #require(submitted["pipeline_id"] as? String)
        let waited = try suite.client("wait", id, "--timeout", "120")
        #expect(waited.status == 0, "\(waited.output)\(waited.errors)")

        let log = try suite.client("logs", "\(id)/kept").output
        let planned = try #require(log.firstMatch(of: /cache: 0 of at most ([0-9]+) windows/))
        let done = try #require(log.firstMatch(of: /cache: ([0-9]+) windows were read, ([0-9]+)/))
        let windows = try #require(Int(planned.1))
        let read = try #require(Int(done.1))
        let computed = try #require(Int(done.2))
        #expect(read + computed == 40 * 16)
        // A micro-batch across the epoch's end may hold windows that are known already.
        #expect(computed == windows && read > 0)

        let lines = try suite.client("metrics", "\(id)/mixed", "--json").output
            .split(separator: "\n").filter { $0.contains("hidden_error") }
        let metrics = try suite.json(String(try #require(lines.first)))
        let values = try #require(metrics["metrics"] as? [String: Any])
        let parts = try ["divergence", "cross_entropy", "hidden_error", "loss"].map {
            try #require(values[$0] as? Double)
        }
        let expected = 0.75 * parts[0] + 0.25 * parts[1] + 0.5 * parts[2]
        #expect(abs(parts[3] - expected) <= 1e-9)
    }

    /// Without a training text, by 20 windows that the model makes; the next attempt finds them.
    @Test func textIsMadeWhereThereIsNone() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(
            """
            {"model": "model", "quantization": {"algorithm": "mxfp4"},
             "distillation": {"teacher": "model"},
             "trainer": {"max_steps": 5000, "max_epochs": 9999, "checkpoint_every_steps": 5},
             "data": {"generated": {"windows": 20, "temperature": 0.8},
                      "validation": ["validation.txt"], "seq_length": 32}, "seed": 7}
            """,
            "generated.json"
        )
        let submitted = try suite.client("submit", suite.folder + "/generated.json")
        #expect(submitted.status == 0, "\(submitted.output)\(submitted.errors)")
        try Self.await("checkpoint of step 5 written", in: suite)
        #expect(try suite.client("cancel", "latest").status == 0)
        #expect(try suite.client("wait", "latest", "--timeout", "60").status != 0)
        #expect(try suite.client("retry", "latest").status == 0)
        let log = try Self.await("resuming from the checkpoint", in: suite)
        #expect(log.contains("generated text: 20 windows of 32 tokens"), "\(log)")
        #expect(log.contains("generated text: 20 windows of an earlier attempt"), "\(log)")
    }

    /// The latest job's log, once it says something.
    @discardableResult
    private static func await(_ words: String, in suite: LocalSuiteFixture) throws -> String {
        for _ in 0..<1200 {
            let log = try suite.client("logs", "latest").output
            if log.contains(words) { return log }
            usleep(100_000)
        }
        let log = try suite.client("logs", "latest").output
        Issue.record("the log never said \"\(words)\": \(log)")
        return log
    }
}
