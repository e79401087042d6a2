internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Testing

/// One training for several formats, through the built programs.
extension LocalSuiteTests {
    private static func training(_ steps: Int, _ quantization: String, _ more: String) -> String {
        """
        {"model": "model", "quantization": {\(quantization)}, "distillation": {},
         "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 64},
         "trainer": {"max_steps": \(steps), "limit_val_batches": 4, "val_check_interval": 20,
                     "log_every_n_steps": 10, "checkpoint_every_steps": 101, "ema": 0.9},
         "optim": {"lr": 1e-3, "sched": {"name": "CosineAnnealing", "min_lr": 1e-4}}\(more), "seed": 7}
        """
    }

    private static func formats(_ results: [String: Any]) throws -> [String: [String: Any]] {
        let rows = try #require(results["formats"] as? [[String: Any]])
        let pairs = try rows.map { (try #require($0["format"] as? String), $0) }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    /// Every format is exported as it was validated: evaluations find the training's own figures, to the last
    /// digit; each is better than rounding without training.
    @Test func everyFormatIsExportedAsItWasTrained() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let exports = """
            , "export": [{"format": "compressed-tensors", "precision": "mxfp8"},
                         {"format": "bf16", "precision": "mxfp6_e2m3"},
                         {"format": "compressed-tensors", "precision": "mxfp4"},
                         {"format": "gguf", "precision": "mxfp4"}]
            """
        let quantization =
            #""formats": ["mxfp8", "mxfp6_e2m3", "mxfp4"], "activations": "mxfp8", "#
            + #""enable_kv_cache": true"#
        let job = Self.training(40, quantization, exports)
            .replacing(#""distillation": {}"#, with: #""lora": {"r": 8}"#)
        let trained = try Self.finished(suite, "train", job)
        let results = try Self.formats(trained.results)
        #expect(trained.log.contains("steps round weights in turn to mxfp8, mxfp6_e2m3, mxfp4"))
        let folders = ["mxfp8": "model", "mxfp6_e2m3": "model-mxfp6_e2m3", "mxfp4": "model-mxfp4"]
        let models = folders.sorted { $0.key < $1.key }.map {
            #"{"label": "\#($0.key)", "model": "job:\#(trained.id)/\#($0.value)"}"#
        }
        let evaluated = try Self.finished(
            suite,
            "evaluate",
            """
            {"models": [\(models.joined(separator: ", ")),
                        {"label": "first", "model": "job:\(trained.id)"}],
             "tasks": [{"type": "perplexity", "text": "validation.txt", "seq_length": 64, "windows": 4}]}
            """
        )
        let rows = try #require(evaluated.results["rows"] as? [[String: Any]])
        for row in rows.dropLast() {
            let format = try #require(row["label"] as? String)
            let found = try #require(results[format])
            let perplexity = try #require(found["qat_perplexity"] as? Double)
            #expect(row["perplexity"] as? Double == perplexity, "\(format)")
            let rounded = try #require(found["ptq_perplexity"] as? Double)
            #expect(perplexity < rounded, "\(format)")
        }
        #expect(
            rows.last?["perplexity"] as? Double == results["mxfp8"]?["qat_perplexity"] as? Double
        )
        #expect(
            trained.results["qat_perplexity"] as? Double
                == results["mxfp8"]?["qat_perplexity"] as? Double
        )
        #expect(
            trained.results["exports"] as? [String] == [
                "compressed-tensors in model/", "bf16 in model-mxfp6_e2m3/",
                "compressed-tensors in model-mxfp4/", "gguf in model-mxfp4-gguf/",
            ]
        )
        try Self.checkProgress(suite, trained.id)
    }

    /// Progress names the format of each step, and metrics and validations are of every format.
    private static func checkProgress(_ suite: LocalSuiteFixture, _ job: String) throws {
        let watched = try suite.client("watch", job, "--json")
        let events = try watched.output.split(separator: "\n").map { try suite.json(String($0)) }
        let cycle = ["mxfp8", "mxfp6_e2m3", "mxfp4"]
        let steps = events.filter { $0["phase"] as? String == "train" }
        #expect(!steps.isEmpty)
        for event in steps {
            let step = try #require(event["step"] as? Int)
            #expect(event["precision"] as? String == cycle[(step - 1) % 3], "step \(step)")
        }
        let metrics = events.compactMap { $0["metrics"] as? [String: Any] }
        for format in cycle {
            let own = metrics.filter { $0["format"] as? String == format }
            #expect(own.contains { $0["validation_perplexity"] is Double }, "\(format)")
            #expect(own.count { $0["worst_layer"] is String } == 4, "\(format)")
        }
        // The last step of each format up to every tenth, with the loss that it had in it.
        let losses = metrics.filter { $0["loss"] is Double }.compactMap { $0["format"] as? String }
        let measured = [10, 20, 30, 40].flatMap { [$0 - 2, $0 - 1, $0] }
        #expect(losses == measured.map { cycle[($0 - 1) % 3] })
    }

    /// A worker that dies in the middle of the cycle (its checkpoint is of step 101 or 202, or of 250, the last, where
    /// this machine was slow to kill it; and there are three formats) changes no digit.
    @Test func aTrainingForSeveralFormatsSurvivesItsWorker() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let job = Self.training(250, #""formats": ["mxfp8", "mxfp6_e2m3", "mxfp4"]"#, "")
        let whole = try Self.finished(suite, "train", job)
        try suite.write(
            job.replacing(#""seed": 7"#, with: #""name": "again", "seed": 7"#),
            "again.json"
        )
        let submitted = try suite.client("submit", "train", suite.folder + "/again.json", "--json")
        let id = try #require(try suite.json(submitted.output)["job_id"] as? String)
        try Self.wait(suite, id, forStep: 110)
        #expect(kill(try suite.processID("train"), SIGKILL) == 0)
        let waited = try suite.json(
            try suite.client("wait", id, "--json", "--timeout", "180").output
        )
        #expect(waited["attempt"] as? Int == 2)
        let log = try suite.client("logs", id).output
        #expect(
            [101, 202, 250].contains {
                log.contains("resuming from the checkpoint of step \($0)\n")
            }
        )
        let again = try #require(waited["results"] as? [String: Any])
        let pair = try [whole.results, again].map(Self.formats)
        for format in ["mxfp8", "mxfp6_e2m3", "mxfp4"] {
            for key in ["ptq_perplexity", "qat_perplexity"] {
                let values = pair.map { $0[format]?[key] as? Double }
                #expect(values[0] == values[1] && values[0] != nil, "\(format) \(key)")
            }
        }
        // What compressed-tensors has no MXFP6 for is held in BF16.
        let exports = try #require(again["exports"] as? [String])
        #expect(exports.contains("bf16 in model-mxfp6_e2m3/"), "\(exports)")
    }
}
