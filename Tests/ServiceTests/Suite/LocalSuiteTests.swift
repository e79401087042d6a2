internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Protocol
internal import Testing
internal import Transformer

/// The main job, end to end, through the built programs.
///
/// Serialized: each case starts a suite of its own processes, and two cores carry one at a time.
@Suite(.serialized)
struct LocalSuiteTests {
    private static func trainJob(steps: Int, name: String) -> String {
        """
        {"name": "\(name)", "model": "model",
         "quantization": {"algorithm": "mxfp4"},
         "distillation": {"teacher": "model", "loss": "kl"},
         "trainer": {"max_steps": \(steps), "micro_batch_size": 2, "val_check_interval": 20,
                     "limit_val_batches": 4, "checkpoint_every_steps": 5, "log_every_n_steps": 10},
         "optim": {"lr": 1e-3, "sched": {"name": "CosineAnnealing", "warmup_steps": 2, "min_lr": 1e-4}},
         "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 64},
         "export": [{"format": "compressed-tensors"}, {"format": "bf16"}], "seed": 7}
        """
    }

    @Test func trainsEvaluatesAndDownloads() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(Self.trainJob(steps: 30, name: "t"), "train.json")
        try suite.write(#"{"model": "model", "quantization": {"algorithm": "mxfp4"}}"#, "ptq.json")
        let first = try suite.client(
            "submit",
            "train",
            suite.folder + "/train.json",
            "--key",
            "one",
            "--json"
        )
        #expect(first.status == 0, "\(first.errors)")
        let train = try #require(try suite.json(first.output)["job_id"] as? String)
        let again = try suite.json(
            try suite.client(
                "submit",
                "train",
                suite.folder + "/train.json",
                "--key",
                "one",
                "--json"
            ).output
        )
        #expect(again["job_id"] as? String == train && again["created"] as? Bool == false)
        let ptq = try #require(
            try suite.json(
                try suite.client("submit", "quantize", suite.folder + "/ptq.json", "--json").output
            )["job_id"] as? String
        )
        // Submitted before its inputs exist: it waits for both jobs by itself.
        try suite.write(
            """
            {"models": [{"label": "baseline", "model": "model"}, {"label": "PTQ", "model": "job:\(ptq)"},
                        {"label": "QAT", "model": "job:\(train)"}],
             "tasks": [{"type": "perplexity", "text": "validation.txt", "seq_length": 64, "windows": 8},
                       {"type": "accuracy", "text": "validation.txt", "seq_length": 64, "windows": 8},
                       {"type": "benchmark", "input_len": 8, "output_len": 4, "num_runs": 3, "warm_up": 1}]}
            """,
            "compare.json"
        )
        let compare = try #require(
            try suite.json(
                try suite.client("submit", "evaluate", suite.folder + "/compare.json", "--json")
                    .output
            )["job_id"] as? String
        )
        try Self.checkWatch(suite, train, steps: 30)
        let trained = try suite.json(try suite.client("wait", train, "--json").output)
        let results = try #require(trained["results"] as? [String: Any])
        let baseline = try #require(results["baseline_perplexity"] as? Double)
        let rounded = try #require(results["ptq_perplexity"] as? Double)
        let recovered = try #require(results["qat_perplexity"] as? Double)
        // The text is easy to learn: thirty steps win back more than rounding to four bits costs.
        #expect(baseline < rounded && recovered < rounded)
        let waited = try suite.client("wait", compare, "--json", "--timeout", "120")
        #expect(waited.status == 0, "\(waited.errors)")
        try Self.checkRows(try suite.json(waited.output))
        let target = suite.folder + "/download"
        #expect(try suite.client("download", train, "--to", target).status == 0)
        try Self.checkExports(target)
        let status = try suite.json(try suite.client("status", "--json").output)
        #expect((status["services"] as? [Any])?.count == 3)
        #expect((status["jobs"] as? [Any])?.count == 3)
    }

    /// The packed export dequantizes to exactly what the plain one holds: the values that the last
    /// forward pass computed with.
    private static func checkExports(_ folder: String) throws {
        let team = ThreadTeam(threadCount: 1)
        let packed = try ModelLoader.load(path: folder + "/model", team: team)
        let plain = try ModelLoader.load(path: folder + "/model-bf16", team: team)
        for entry in packed.parameters.layout.entries {
            let values = [packed, plain].map { Array($0.parameters.elements(of: entry)) }
            #expect(values[0] == values[1], "\(entry.name)")
        }
    }

    private static func checkWatch(_ suite: LocalSuiteFixture, _ job: String, steps: Int) throws {
        let watched = try suite.client("watch", job, "--json")
        #expect(watched.status == 0, "\(watched.errors)")
        let events = try watched.output.split(separator: "\n").map { try suite.json(String($0)) }
        #expect(events.compactMap { $0["seq"] as? Int } == Array(1..<events.count))
        // The last line is the job itself.
        #expect(events.last?["type"] as? String == "job")
        #expect(events.last?["results"] is [String: Any])
        let trained = events.filter { $0["phase"] as? String == "train" }
        // Of quick steps some are told, in order; the first and the last always.
        let told = trained.compactMap { $0["step"] as? Int }
        #expect(told == Set(told).sorted() && told.first == 1 && told.last == steps, "\(told)")
        #expect(events.last?["state"] as? String == "SUCCEEDED")
    }

    private static func checkRows(_ result: [String: Any]) throws {
        let rows = try #require(
            (result["results"] as? [String: Any])?["rows"] as? [[String: Any]]
        )
        #expect(rows.map { $0["label"] as? String } == ["baseline", "PTQ", "QAT"])
        for row in rows {
            for key in ["perplexity", "accuracy", "latency_ms", "tokens_per_s", "memory_ratio"] {
                let value = try #require(row[key] as? Double, "\(key)")
                #expect(value.isFinite && value >= 0)
            }
        }
        // The rounded models differ from the baseline, and are smaller.
        #expect(rows[0]["perplexity"] as? Double != rows[1]["perplexity"] as? Double)
        let sizes = rows.compactMap { $0["memory_bytes"] as? Int }
        #expect(sizes.count == 3 && sizes[1] < sizes[0] && sizes[2] == sizes[1])
    }

    @Test func survivesTheDeathOfGatewayAndWorker() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(Self.trainJob(steps: 400, name: "killed"), "train.json")
        let submitted = try suite.client("submit", "train", suite.folder + "/train.json", "--json")
        let job = try #require(try suite.json(submitted.output)["job_id"] as? String)
        try Self.wait(suite, job, forStep: 20)
        #expect(kill(try suite.processID("gateway"), SIGKILL) == 0)
        try Self.wait(suite, job, forStep: 60)
        #expect(kill(try suite.processID("train"), SIGKILL) == 0)
        let waited = try suite.client("wait", job, "--json", "--timeout", "180")
        #expect(waited.status == 0, "\(waited.errors)")
        let result = try suite.json(waited.output)
        #expect(result["state"] as? String == "SUCCEEDED")
        #expect(result["attempt"] as? Int == 2)
        let log = try suite.client("logs", job).output
        #expect(log.contains("resuming from the checkpoint of step"))
        let begins = log.split(separator: "\n").filter { $0.contains(" begins on worker ") }
        #expect(begins == [1, 2].map { "attempt \($0) begins on worker train-1" })
        let status = try suite.json(try suite.client("status", "--json").output)
        #expect((status["jobs"] as? [Any])?.count == 1)
    }

    /// Polls through the client until the job is past a step; each poll is a process of its own.
    static func wait(_ suite: LocalSuiteFixture, _ job: String, forStep step: Int) throws {
        for _ in 0..<600 {
            let answer = try suite.client("status", job, "--json")
            guard answer.status == 0 else {
                continue
            }
            let progress = try suite.json(answer.output)["progress"] as? [String: Any]
            if (progress?["step"] as? Int ?? 0) >= step,
                try suite.json(answer.output)["state"] as? String == "RUNNING"
            {
                return
            }
        }
        Issue.record("job \(job) did not reach step \(step)")
    }

    @Test func refusesBadJobsWithOneLine() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let good = Self.trainJob(steps: 3, name: "x")
        let cases = [
            (good.replacing("\"algorithm\"", with: "\"algoritm\""), "algoritm"),
            (good.replacing("1e-3", with: "-1"), "$.optim.lr"),
            (good.replacing("train.txt", with: "none.txt"), "none.txt"),
        ]
        for (text, place) in cases {
            try suite.write(text, "bad.json")
            let result = try suite.client("submit", "train", suite.folder + "/bad.json")
            #expect(result.status == 2)
            #expect(result.errors.contains(place), "\(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        }
        #expect(
            try (suite.json(suite.client("status", "--json").output)["jobs"] as? [Any])?.isEmpty
                == true
        )
        // A text shorter than one window: seen by the client in a file, by the worker in the store.
        try suite.write("short", "train.txt")
        try suite.write(good, "short.json")
        let short = try suite.client("submit", "train", suite.folder + "/short.json")
        #expect(short.status == 2)
        #expect(short.errors.contains("$.data.train[0]: train.txt: 5 tokens"), "\(short.errors)")
        let put = try suite.client("artifacts", "put", suite.folder + "/train.txt")
        #expect(put.status == 0, "\(put.errors)")
        let digest = SHA256Digest.digest(of: Array("short".utf8)).hex
        try suite.write(good.replacing("train.txt", with: "sha256:" + digest), "short.json")
        let stored = try suite.client("submit", "train", suite.folder + "/short.json", "--watch")
        #expect(stored.status == 1)
        let said = stored.output + stored.errors
        #expect(said.contains("$.data.train[0]: \(digest).txt: 5 tokens"), "\(said)")
        // An accelerator that nobody offers waits, and says so.
        try suite.write(
            good.replacing(
                "\"max_steps\"",
                with: "\"accelerator\": \"gpu\", \"devices\": 8, \"max_steps\""
            ),
            "gpu.json"
        )
        try suite.write(
            String(repeating: "enough text for a window of tokens ", count: 20),
            "train.txt"
        )
        let waiting = try suite.client("submit", "train", suite.folder + "/gpu.json", "--json")
        let job = try #require(try suite.json(waiting.output)["job_id"] as? String)
        #expect(try suite.client("status", job).output.contains("accelerator gpu"))
        #expect(try suite.client("cancel", job).status == 0)
        #expect(try suite.client("wait", job).status == 3)
    }
}
