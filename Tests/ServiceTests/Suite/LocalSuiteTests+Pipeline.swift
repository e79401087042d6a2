internal import Foundation
internal import Testing

/// Pipelines through the built programs.
extension LocalSuiteTests {
    /// The example, with a tiny model and few steps in the places of what `scripts/fetch-demo-data` brings.
    private static func example(in suite: LocalSuiteFixture, steps: Int) throws -> [String] {
        let path = URL(filePath: #filePath).resolvingSymlinksInPath().path
            .replacing(
                "Tests/ServiceTests/Suite/LocalSuiteTests+Pipeline.swift",
                with: "examples/pipeline.json"
            )
        try suite.write(try String(contentsOfFile: path, encoding: .utf8), "pipeline.json")
        let tasks = (0...1).flatMap { index in
            ["text=validation.txt", "seq_length=64", "windows=8"].map {
                "compare.tasks[\(index)].\($0)"
            }
        }
        let values =
            [
                "quantize.model=model", "train.model=model", "compare.models[0].model=model",
                #"train.data.train=["train.txt"]"#, #"train.data.validation=["validation.txt"]"#,
                "train.data.seq_length=64", "train.trainer.max_steps=\(steps)",
                "train.trainer.val_check_interval=\(steps)",
                "train.optim.sched.warmup_steps=1",
            ] + tasks
        return ["submit", "pipeline", suite.folder + "/pipeline.json"]
            + values.flatMap { ["--set", $0] }
    }

    /// In a file as on the command line, a job goes by its name, by `latest`, and by the beginning of its id; and
    /// the suite is its owner's, who may have everything read.
    @Test func jobsAreNamedInFilesAsElsewhere() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(
            #"{"name": "rounded", "model": "model", "quantization": {"algorithm": "mxfp4"}}"#,
            "ptq.json"
        )
        let first = try suite.client("submit", suite.folder + "/ptq.json", "--json")
        let id = try #require(try suite.json(first.output)["job_id"] as? String)
        try suite.write(
            #"{"models": [{"label": "a", "model": "job:latest"}, {"label": "b", "model": "job:rounded"}], "#
                + #""tasks": [{"type": "perplexity", "text": "validation.txt", "seq_length": 64, "windows": 2}]}"#,
            "compare.json"
        )
        let submit = ["submit", suite.folder + "/compare.json"]
        let set = ["--set", "models[1].model=job:\(id.prefix(12))/model"]
        for more in [[], set] {
            let plan = try suite.client(submit + more + ["--dry-run", "--json"])
            #expect(plan.status == 0, "\(plan.errors)")
            #expect(plan.errors.contains("$.models[0].model: job:latest is job:\(id)\n"))
            let inputs = try #require(try suite.json(plan.output)["inputs"] as? [[String: Any]])
            let sources = inputs.compactMap { $0["source"] as? String }
            #expect(sources.prefix(2) == ["job:\(id)/model", "job:\(id)/model"])
        }
        let unknown = try suite.client(submit + ["--set", "models[0].model=job:none", "--dry-run"])
        #expect(unknown.status == 2)
        #expect(
            unknown.errors.contains("$.models[0].model: no job has the id or the name \"none\"")
        )
        let compared = try suite.client(submit + ["--watch", "--json"])
        #expect(compared.status == 0, "\(compared.errors)")
        let audit = try suite.client("artifacts", "verify", "--all", "--json")
        #expect(audit.status == 0, "\(audit)")
    }

    @Test func aPipelineQuantizesTrainsAndComparesBoth() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let submit = try Self.example(in: suite, steps: 6)
        let plan = try suite.client(submit + ["--dry-run"])
        #expect(plan.status == 0, "\(plan.errors)")
        #expect(plan.output.contains("compare") && plan.output.contains("quantize, train"))
        let first = try suite.client(submit + ["--key", "one", "--json"])
        #expect(first.status == 0, "\(first.errors)")
        let id = try #require(try suite.json(first.output)["pipeline_id"] as? String)
        let again = try suite.json(try suite.client(submit + ["--key", "one", "--json"]).output)
        #expect(again["pipeline_id"] as? String == id && again["created"] as? Bool == false)
        let watched = try suite.client("watch", "ptq-against-qat", "--json")
        #expect(watched.status == 0, "\(watched.errors)")
        let last = try #require(watched.output.split(separator: "\n").last)
        #expect(try suite.json(String(last))["state"] as? String == "SUCCEEDED")
        try Self.checkPipeline(suite, id)
        try Self.checkReuse(suite, submit, id)
    }

    private static func checkPipeline(_ suite: LocalSuiteFixture, _ id: String) throws {
        let waited = try suite.client("wait", id, "--json", "--timeout", "60")
        #expect(waited.status == 0, "\(waited.errors)")
        let pipeline = try suite.json(waited.output)
        let jobs = try #require(pipeline["jobs"] as? [[String: Any]])
        #expect(jobs.last?["part"] as? String == "compare" && jobs.count == 3)
        let rows = try #require(pipeline["rows"] as? [[String: Any]])
        #expect(rows.map { $0["label"] as? String } == ["baseline", "PTQ", "QAT"])
        #expect(rows.allSatisfy { ($0["perplexity"] as? Double ?? 0) > 1 })
        // The tree: the pipeline, and its jobs below it.
        let lines = try suite.client("status").output.split(separator: "\n").map(String.init)
        let top = try #require(lines.firstIndex { $0.hasPrefix(id) })
        #expect(lines[top].contains("SUCCEEDED") && lines[top].contains("3 of 3"))
        #expect(lines[top + 1].hasPrefix("  ") && lines[(top + 1)...].count >= 3)
        #expect(try suite.client("status", "\(id)/train").output.contains("part      train"))
        let target = suite.folder + "/download"
        #expect(try suite.client("download", id, "--to", target).status == 0)
        for name in [
            "quantize/model/config.json", "train/model/config.json", "compare/report.json",
        ] {
            #expect(FileManager.default.fileExists(atPath: "\(target)/\(name)"), "\(name)")
        }
    }

    /// The same again takes no time: every job has what the first one made.
    private static func checkReuse(
        _ suite: LocalSuiteFixture,
        _ submit: [String],
        _ id: String
    ) throws {
        let again = try suite.json(try suite.client(submit + ["--reuse", "--json"]).output)
        let jobs = try #require(again["jobs"] as? [[String: Any]])
        #expect(again["pipeline_id"] as? String != id)
        #expect(jobs.allSatisfy { $0["state"] as? String == "SUCCEEDED" }, "\(again)")
        #expect(jobs.allSatisfy { $0["reused_from"] != nil })
    }

    @Test func aPipelineIsCancelledAndRetriedWhole() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let submit = try Self.example(in: suite, steps: 4_000)
        let submitted = try suite.json(
            try suite.client(submit + ["--priority", "high", "--deadline", "2h", "--json"]).output
        )
        let id = try #require(submitted["pipeline_id"] as? String)
        let reached = try suite.awaitEvent(of: "\(id)/train") { event in
            (event["step"] as? Int ?? 0) >= 2 && event["phase"] as? String == "train"
        }
        #expect(reached)
        let job = try suite.json(try suite.client("status", "\(id)/train", "--json").output)
        #expect(job["priority"] as? Int == 50 && job["deadline"] != nil)
        let cancelled = try suite.client("cancel", id)
        #expect(cancelled.status == 0)
        // A job at work may take a while, and whoever asked is told how not to wait.
        #expect(cancelled.errors.contains("--now ends it at once"))
        let waited = try suite.client("wait", id, "--timeout", "60")
        #expect(waited.status == 3, "\(waited.output)\(waited.errors)")
        let retried = try suite.json(try suite.client("retry", id, "--json").output)
        let states = try #require(retried["jobs"] as? [[String: Any]])
            .map { "\($0["part"] ?? "") \($0["state"] ?? "")" }
        #expect(states.contains("compare BLOCKED"), "\(states)")
        #expect(try suite.client("cancel", id, "--now").status == 0)
        #expect(try suite.client("wait", id, "--timeout", "60").status == 3)
    }
}
