internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Testing
internal import Transformer

/// How trainings round weights, keys and values, through the built programs.
extension LocalSuiteTests {
    static func finished(
        _ suite: LocalSuiteFixture,
        _ kind: String,
        _ job: String
    ) throws -> (id: String, results: [String: Any], log: String) {
        try suite.write(job, kind + ".json")
        let file = "\(suite.folder)/\(kind).json"
        let submitted = try suite.client("submit", kind, file, "--json")
        try #require(submitted.status == 0, "\(submitted.output)\(submitted.errors)")
        let id = try #require(try suite.json(submitted.output)["job_id"] as? String)
        let waited = try suite.client("wait", id, "--json", "--timeout", "120")
        try #require(waited.status == 0, "\(waited.output)\(waited.errors)")
        let results = try suite.json(waited.output)["results"] as? [String: Any]
        return (id, try #require(results), try suite.client("logs", id).output)
    }

    /// What an evaluation finds of a training's export, as it is and without rounded inputs, on the windows of
    /// the training's own validation.
    private static func evaluated(
        _ suite: LocalSuiteFixture,
        _ id: String
    ) throws -> [[String: Any]] {
        let windows = #""text": "validation.txt", "seq_length": 64, "windows": 4"#
        let evaluated = try finished(
            suite,
            "evaluate",
            """
            {"models": [{"label": "as exported", "model": "job:\(id)"},
                        {"label": "weights", "model": "job:\(id)", "activations": "none"}],
             "tasks": [{"type": "perplexity", \(windows)}]}
            """
        )
        return try #require(evaluated.results["rows"] as? [[String: Any]])
    }

    private static func training(_ quantization: String, _ more: String = "") -> String {
        """
        {"model": "model", "quantization": {\(quantization)}\(more),
         "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 64},
         "trainer": {"max_steps": 4, "limit_val_batches": 4}, "optim": {"lr": 1e-3}, "seed": 7}
        """
    }

    /// Learned scales and rounded keys and values are exported as they were trained: an evaluation finds
    /// the training's own figure, to the last digit.
    @Test(arguments: ["nvfp4", "mxfp4"])
    func whatIsLearnedAndCachedIsExported(format: String) throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let quantization = """
            "algorithm": "\(format)", "method": "mse", "scales": "learned", "scale_lr": 1e-3,
            "enable_kv_cache": true
            """
        let trained = try Self.finished(suite, "train", Self.training(quantization))
        #expect(trained.results["kv_cache"] as? String == "fp8")
        #expect(trained.log.contains("keys and values: FP8 under scales calibrated on "))
        let rows = try Self.evaluated(suite, trained.id)
        let perplexity = try #require(trained.results["qat_perplexity"] as? Double)
        #expect(rows[0]["perplexity"] as? Double == perplexity)
        #expect(rows.map { $0["kv_cache"] as? String } == ["fp8", "none"])
        #expect(rows[1]["perplexity"] as? Double != perplexity)
    }

    /// Thresholds of inputs are exported as they were learned: an evaluation finds the training's own figure,
    /// to the last digit.
    @Test(arguments: [("nvfp4", "compressed-tensors"), ("fp8_per_tensor", "modelopt")])
    func learnedThresholdsAreExported(format: String, layout: String) throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let quantization = """
            "algorithm": "\(format)", "activations": "\(format)", "activation_scales": "learned",
            "clip_lr": 0.05
            """
        let trained = try Self.finished(
            suite,
            "train",
            Self.training(quantization, #", "export": [{"format": "\#(layout)"}]"#)
        )
        #expect(trained.results["activations"] as? String == format)
        #expect(trained.log.contains("inputs: clipped to what "), "\(trained.log)")
        let rows = try Self.evaluated(suite, trained.id)
        let perplexity = try #require(trained.results["qat_perplexity"] as? Double)
        #expect(rows[0]["perplexity"] as? Double == perplexity)
        #expect(rows[1]["perplexity"] as? Double != perplexity)
        #expect(!trained.log.contains("training those of"), "\(trained.log)")
    }

    /// Biases that were not there are exported where the model's checkpoints have them: an evaluation finds
    /// the training's own figure, to the last digit, and config.json says so.
    @Test func trainedBiasesAreExported() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let exports = #", "export": [{"format": "compressed-tensors"}, {"format": "gguf"}]"#
        let trained = try Self.finished(
            suite,
            "train",
            Self.training(#""algorithm": "mxfp4", "output_correction": true"#, exports)
        )
        let added = 2 * (64 + 32 + 32 + 64 + 96 + 96 + 64)
        #expect(trained.log.contains("output correction: \(added) biases begin at zero"))
        let rows = try Self.evaluated(suite, trained.id)
        #expect(rows[0]["perplexity"] as? Double == trained.results["qat_perplexity"] as? Double)
        let target = suite.folder + "/download"
        #expect(try suite.client("download", trained.id, "--to", target).status == 0)
        let data = try Data(contentsOf: URL(filePath: target + "/model/config.json"))
        let config = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(config["attention_bias"] as? Bool == true && config["mlp_bias"] as? Bool == true)
        let team = ThreadTeam(threadCount: 1)
        for folder in ["model", "model-gguf"] {
            let model = try ModelLoader.load(path: "\(target)/\(folder)", team: team)
            for module in LinearModule.allCases {
                let bias = try model.parameters.elements(named: module.name(layer: 1) + ".bias")
                #expect(bias.contains { $0 != 0 }, "\(folder) \(module)")
            }
        }
    }

    /// Adapters are merged in the export: an evaluation finds the training's own figure, to the last digit.
    @Test func adaptersAreExportedMerged() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let lora = #", "lora": {"r": 4, "lora_alpha": 8, "target_modules": ["*mlp*", "q_proj"]}"#
        let trained = try Self.finished(
            suite,
            "train",
            Self.training(#""algorithm": "mxfp4""#, lora)
        )
        let rows = try Self.evaluated(suite, trained.id)
        let perplexity = try #require(trained.results["qat_perplexity"] as? Double)
        let rounded = try #require(trained.results["ptq_perplexity"] as? Double)
        #expect(rows[0]["perplexity"] as? Double == perplexity)
        #expect(perplexity != rounded)
    }

    @Test func stepsThatRoundAtRandomSaySo() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let quantization =
            #""algorithm": "nvfp4", "scale_mode": "four_over_six", "#
            + #""rounding": "stochastic""#
        let trained = try Self.finished(suite, "train", Self.training(quantization))
        #expect(trained.log.contains("validations and the export round to nearest"))
        #expect(trained.results["qat_perplexity"] is Double)
    }
}
