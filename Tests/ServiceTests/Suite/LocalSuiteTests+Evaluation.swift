internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Testing
internal import Transformer

extension LocalSuiteTests {
    private static let training = """
        {"name": "w4a4", "model": "model",
         "quantization": {"algorithm": "mxfp4", "activations": "mxfp4", "scale_mode": "rceil"},
         "trainer": {"max_steps": 3, "micro_batch_size": 2, "limit_val_batches": 4},
         "optim": {"lr": 1e-3},
         "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 64},
         "export": [{"format": "compressed-tensors"}], "seed": 7}
        """

    /// Submits a job and waits for it; its state is the caller's to look at.
    private static func run(
        _ suite: LocalSuiteFixture,
        _ kind: String,
        _ job: String
    ) throws -> (id: String, status: Int32, result: [String: Any]) {
        try suite.write(job, kind + ".json")
        let file = "\(suite.folder)/\(kind).json"
        let submitted = try suite.client("submit", kind, file, "--json")
        try #require(submitted.status == 0, "\(submitted.errors)")
        let id = try #require(try suite.json(submitted.output)["job_id"] as? String)
        let waited = try suite.client("wait", id, "--json", "--timeout", "120")
        return (id, waited.status, try suite.json(waited.output))
    }

    @Test func evaluatesWhatTrainingExportedToTheLastDigit() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try Self.writeBrokenModel(suite.folder)
        try suite.up()
        let trained = try Self.run(suite, "train", Self.training)
        #expect(trained.status == 0, "\(trained.result)")
        let results = try #require(trained.result["results"] as? [String: Any])
        #expect(results["activations"] as? String == "mxfp4")
        let windows = #""text": "validation.txt", "seq_length": 64"#
        let evaluated = try Self.run(
            suite,
            "evaluate",
            """
            {"models": [{"label": "as exported", "model": "job:\(trained.id)"},
                        {"label": "weights", "model": "job:\(trained.id)", "activations": "none"},
                        {"label": "as it came", "model": "model"}],
             "tasks": [{"type": "perplexity", \(windows), "windows": 4},
                       {"type": "perplexity", \(windows), "windows": 1},
                       {"type": "accuracy", \(windows), "windows": 4}]}
            """
        )
        #expect(evaluated.status == 0, "\(evaluated.result)")
        try Self.check(evaluated.result, trained: results)
        let broken = try Self.run(
            suite,
            "evaluate",
            """
            {"models": [{"label": "broken", "model": "broken"}],
             "tasks": [{"type": "perplexity", \(windows), "windows": 1}]}
            """
        )
        #expect(broken.status == 1)
        let message = "\(broken.result)"
        #expect(message.contains("model.layers.1.input_layernorm.weight holds nan at [3]"))
    }

    private static func check(_ result: [String: Any], trained: [String: Any]) throws {
        let rows = try #require(
            (result["results"] as? [String: Any])?["rows"] as? [[String: Any]]
        )
        try #require(rows.count == 3)
        #expect(rows.map { $0["activations"] as? String } == ["mxfp4", "none", "none"])
        #expect(rows.map { $0["kv_cache"] as? String } == ["none", "none", "none"])
        let perplexity = try #require(trained["qat_perplexity"] as? Double)
        #expect(rows[0]["perplexity"] as? Double == perplexity)
        let interval = try #require(trained["qat_perplexity_ci95"] as? [Double])
        #expect(rows[0]["perplexity_ci95"] as? [Double] == interval)
        #expect(rows[1]["perplexity"] as? Double != perplexity)
        // The model as it came, and what rounding alone makes of it, are measured on the same windows.
        #expect(rows[2]["perplexity"] as? Double == trained["baseline_perplexity"] as? Double)
        let baseline = try #require(trained["baseline_perplexity_ci95"] as? [Double])
        #expect(rows[2]["perplexity_ci95"] as? [Double] == baseline)
        let rounded = try #require(trained["ptq_perplexity"] as? Double)
        let around = try #require(trained["ptq_perplexity_ci95"] as? [Double])
        #expect(around.count == 2 && around[0] < rounded && rounded < around[1])
        #expect(trained["start_perplexity_ci95"] is NSNull)
        for row in rows {
            let list = try #require(row["measurements"] as? [[String: Any]])
            #expect(
                list.map { $0["name"] as? String } == ["perplexity", "perplexity", "accuracy"]
            )
            #expect(list.map { $0["count"] as? Int } == [4, 1, 4])
            #expect(list[0]["value"] as? Double == row["perplexity"] as? Double)
            #expect(list[1]["value"] as? Double != row["perplexity"] as? Double)
            #expect(list[1]["interval"] is NSNull)
        }
    }

    /// The fixture's model with a NaN in a norm.
    private static func writeBrokenModel(_ folder: String) throws {
        let model = try ModelLoader.load(
            path: folder + "/model",
            team: ThreadTeam(threadCount: 1)
        )
        try model.parameters.elements(named: "model.layers.1.input_layernorm.weight")[3] = .nan
        let plain = QuantizedModel(model: model, stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .f32, folder: folder + "/broken")
        )
    }
}
