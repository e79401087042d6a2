internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Testing
internal import Transformer

extension LocalSuiteTests {
    private static let job = """
        {"name": "gptq", "model": "model",
         "quantization": {"algorithm": "mxfp4", "method": "gptq", "activation_order": true,
                          "rotation": "hadamard", "effective_bits": 5.5,
                          "candidates": ["mxfp4", "mxfp8"], "kv_cache": "fp8",
                          "calibration_size": 16},
         "data": {"calibration": ["train.txt", "validation.txt"], "seq_length": 32},
         "export": [{"format": "compressed-tensors"}, {"format": "bf16"}, {"format": "gguf"},
                    {"format": "quark", "on_obstacle": "skip"}]}
        """

    @Test func quantizesByEveryMeansAtOnce() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(Self.job, "gptq.json")
        let file = suite.folder + "/gptq.json"
        let submitted = try suite.client("submit", "quantize", file, "--json")
        #expect(submitted.status == 0, "\(submitted.errors)")
        let id = try #require(try suite.json(submitted.output)["job_id"] as? String)
        let waited = try suite.client("wait", id, "--json", "--timeout", "120")
        #expect(waited.status == 0, "\(waited.output)")
        let results = try #require(try suite.json(waited.output)["results"] as? [String: Any])
        let bits = try #require(results["bits_per_weight"] as? Double)
        #expect(bits > 4.25 && bits <= 5.5)
        #expect(try #require(results["kl_divergence"] as? Double) > 0)
        let warnings = try #require(results["warnings"] as? [String])
        #expect(warnings.contains { $0.contains("export quark was left out") })
        let target = suite.folder + "/download"
        #expect(try suite.client("download", id, "--to", target).status == 0)
        try Self.checkFolders(target)
        let html = try String(contentsOfFile: target + "/report.html", encoding: .utf8)
        #expect(html.contains("model.layers.1.mlp.down_proj"))
        let report = try #require(
            try JSONSerialization.jsonObject(
                with: Data(contentsOf: URL(filePath: target + "/report.json"))
            ) as? [String: Any]
        )
        let layers = try #require(report["layers"] as? [[String: Any]])
        #expect(layers.count == 14)
        #expect(Set(layers.compactMap { $0["format"] as? String }) == ["mxfp4", "mxfp8"])
        #expect((report["sensitivities"] as? [Any])?.count == 8)
    }

    /// Every export holds the same quantized values, and the rotated model has a head of its own.
    private static func checkFolders(_ folder: String) throws {
        let team = ThreadTeam(threadCount: 1)
        let models = try ["model", "model-bf16", "model-gguf"].map {
            try ModelLoader.load(path: "\(folder)/\($0)", team: team)
        }
        #expect(models.allSatisfy { !$0.configuration.tiedEmbeddings })
        for entry in models[0].parameters.layout.entries where entry.shape.count == 2 {
            let values = models.map { Array($0.parameters.elements(of: entry)) }
            #expect(values[0] == values[1] && values[1] == values[2], "\(entry.name)")
        }
        let weights = try String(
            decoding: FileHandle(forReadingFrom: URL(filePath: folder + "/model/model.safetensors"))
                .read(upToCount: 100_000) ?? Data(),
            as: UTF8.self
        )
        for text in [
            "model.layers.0.self_attn.k_scale", "model.layers.1.self_attn.v_scale",
            #""qat.method":"gptq""#, #""qat.rotation":"hadamard""#, #"\"scale_mode\":\"floor\""#,
        ] {
            #expect(weights.contains(text), "\(text)")
        }
    }

    @Test func dryRunsListLayersAndRefuseWhatDoesNotFit() throws {
        let suite = try LocalSuiteFixture()
        try suite.writeInputs()
        typealias Result = (status: Int32, output: String, errors: String)
        func dryRun(_ quantization: String) throws -> Result {
            try suite.write(
                #"{"model": "model", "quantization": \#(quantization)}"#,
                "dry.json"
            )
            return try suite.client(
                "submit",
                "quantize",
                suite.folder + "/dry.json",
                "--dry-run",
                "--json"
            )
        }
        let good = try dryRun(
            """
            {"algorithm": "nvfp4", "layers": [{"pattern": "*", "algorithm": "none"},
             {"pattern": "*mlp*", "algorithm": "nvfp4"},
             {"pattern": "*embed_tokens", "algorithm": "fp8", "scaling_granularity": 8}]}
            """
        )
        #expect(good.status == 0, "\(good.errors)")
        let recipe = try #require(try suite.json(good.output)["recipe"] as? [String: Any])
        #expect(recipe["quantized"] as? Int == 7)
        let layers = try #require(recipe["layers"] as? [[String: Any]])
        #expect(layers.count == 15)
        let embedding = layers[0]
        #expect(embedding["format"] as? String == "mxfp8" && embedding["block_size"] as? Int == 8)
        #expect(embedding["byte_count"] as? Int == 256 * 64 * 9 / 8)
        #expect(embedding["by"] as? String == #"layers[2] "*embed_tokens""#)
        for (quantization, part) in [
            (
                #"{"algorithm": "fp4", "layers": [{"pattern": "*up_proj", "algorithm": "fp8"}]}"#,
                #"mlp.up_proj is mxfp8 by 32 by layers[0] "*up_proj"; servers fuse the two"#
            ),
            (
                #"{"algorithm": "fp4", "scaling_granularity": 48}"#,
                "do not divide into blocks of 48"
            ),
            (#"{"algorithm": "fp4", "method": "gptq"}"#, "method gptq needs calibration texts"),
        ] {
            let bad = try dryRun(quantization)
            #expect(bad.status == 2)
            #expect(bad.errors.contains(part), "\(bad.errors)")
            #expect(bad.errors.split(separator: "\n").count == 1, "\(bad.errors)")
        }
    }
}
