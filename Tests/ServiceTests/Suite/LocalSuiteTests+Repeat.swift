internal import Foundation
internal import Protocol
internal import Testing

/// A training's best weights, and its run again from its own folder, through the built programs.
extension LocalSuiteTests {
    private static let job = """
        {"name": "first", "model": "model", "quantization": {"algorithm": "mxfp4"},
         "trainer": {"max_steps": 400, "micro_batch_size": 2, "val_check_interval": 20,
                     "limit_val_batches": 2, "checkpoint_every_steps": 25, "log_every_n_steps": 50},
         "optim": {"lr": 0.1}, "data": {"train": ["train.txt"], "validation": ["validation.txt"],
         "seq_length": 32}, "export_from": "best", "seed": 7}
        """

    /// The first run is stopped on its way, the second is not, and is of the first one's run/config.json.
    @Test func aTrainingIsRepeatedFromItsRunFolder() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(Self.job, "first.json")
        let file = suite.folder + "/first.json"
        let submitted = try suite.client("submit", "train", file, "--json")
        #expect(submitted.status == 0, "\(submitted.errors)")
        let first = try #require(try suite.json(submitted.output)["job_id"] as? String)
        #expect(try suite.awaitEvent(of: first) { ($0["step"] as? Int ?? 0) >= 60 })
        #expect(try suite.client("cancel", first).status == 0)
        #expect(try suite.client("wait", first, "--timeout", "60").status == 3)
        #expect(try suite.client("retry", first).status == 0)
        let results = try Self.results(of: first, suite)
        let step = try #require(results["exported_step"] as? Int)
        #expect(results["best_step"] as? Int == step && results["steps"] as? Int == 400)
        let folder = suite.folder + "/download"
        #expect(try suite.client("download", first, "--to", folder).status == 0)
        func run(_ name: String) throws -> Data {
            try Data(contentsOf: URL(fileURLWithPath: "\(folder)/run/\(name)"))
        }
        // The digests are those of the files beside the job.
        let inputs = try #require(
            try JSONSerialization.jsonObject(with: run("inputs.json")) as? [[String: Any]]
        )
        let files = inputs.flatMap { $0["files"] as? [[String: Any]] ?? [] }
        let digests = Set(files.compactMap { $0["sha256"] as? String })
        for name in ["train.txt", "validation.txt", "model/model.safetensors"] {
            let (digest, _) = try SHA256Digest.digest(ofFile: "\(suite.folder)/\(name)")
            #expect(digests.contains(digest.hex), "\(name)")
        }
        let environment = try suite.json(
            String(decoding: run("environment.json"), as: UTF8.self)
                .replacing("\n", with: " ")
        )
        #expect(environment["attempt"] as? Int == 2)
        #expect((environment["resumed_from_step"] as? Int ?? 0) > 0)
        try run("config.json").write(to: URL(fileURLWithPath: suite.folder + "/repeat.json"))
        let again = try suite.client("submit", "train", suite.folder + "/repeat.json", "--json")
        #expect(again.status == 0, "\(again.errors)")
        let second = try #require(try suite.json(again.output)["job_id"] as? String)
        #expect(try Self.results(of: second, suite)["exported_step"] as? Int == step)
        #expect(try suite.client("download", second, "--to", folder + "-2").status == 0)
        let weights = try ["", "-2"].map {
            try Data(contentsOf: URL(fileURLWithPath: folder + $0 + "/model/model.safetensors"))
        }
        #expect(weights[0] == weights[1])
    }

    private static func results(
        of job: String,
        _ suite: LocalSuiteFixture
    ) throws -> [String: Any] {
        let waited = try suite.client("wait", job, "--json", "--timeout", "120")
        #expect(waited.status == 0, "\(waited.output)\(waited.errors)")
        return try #require(try suite.json(waited.output)["results"] as? [String: Any])
    }
}
