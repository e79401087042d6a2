internal import Foundation
internal import Testing

extension LocalSuiteTests {
    private static let exportingJob = """
        {"name": "x", "model": "model", "quantization": {"algorithm": "mxfp4"},
         "trainer": {"max_steps": 1000, "micro_batch_size": 2, "limit_val_batches": 4,
                     "checkpoint_every_steps": 1000},
         "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 64},
         "export": [{"format": "compressed-tensors"}, {"format": "gguf"}], "seed": 7}
        """

    /// A failing export costs neither the other one nor the training.
    @Test func exportsAgainWithoutTraining() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        try suite.write(Self.exportingJob, "x.json")
        let submitted = try suite.client("submit", "train", suite.folder + "/x.json", "--json")
        #expect(submitted.status == 0, "\(submitted.errors)")
        let job = try #require(try suite.json(submitted.output)["job_id"] as? String)
        // A file where the folder should be: that export cannot be written.
        try Self.block("model-gguf", of: job, in: suite)
        let failed = try suite.client("wait", job, "--json", "--timeout", "120")
        #expect(failed.status == 1)
        #expect(try suite.json(failed.output)["reason"] as? String == "EXPORT_FAILED")
        let first = suite.folder + "/first"
        #expect(try suite.client("download", job, "--to", first).status == 0)
        #expect(FileManager.default.fileExists(atPath: first + "/model/config.json"))
        #expect(FileManager.default.fileExists(atPath: first + "/report.json"))
        #expect(try suite.client("retry", job).status == 0)
        let waited = try suite.client("wait", job, "--json", "--timeout", "120")
        #expect(waited.status == 0, "\(waited.output)")
        let second = suite.folder + "/second"
        #expect(try suite.client("download", job, "--to", second).status == 0)
        #expect(FileManager.default.fileExists(atPath: second + "/model-gguf/model.gguf"))
        #expect(
            FileManager.default.contentsEqual(
                atPath: first + "/model/model.safetensors",
                andPath: second + "/model/model.safetensors"
            )
        )
        // What the first attempt measured is in its last checkpoint, and in the second one's outputs.
        let rows = try Self.measured(second, suite)
        let logged = rows.filter { $0["loss"] != nil }.compactMap { $0["step"] as? Int }
        #expect(logged == Array(stride(from: 10, through: 1000, by: 10)))
        #expect(rows.first?["baseline_perplexity"] != nil && rows.last?["qat_perplexity"] != nil)
        #expect(try Self.measured(first, suite).count == rows.count)
        for name in ["report.html", "run/metrics.csv", "run/layers.csv"] {
            #expect(FileManager.default.fileExists(atPath: "\(second)/\(name)"), "\(name)")
        }
        let watched = try suite.client("watch", job, "--json")
        let events = try watched.output.split(separator: "\n").map { try suite.json(String($0)) }
        let trained = events.filter { $0["phase"] as? String == "train" }
        // No step comes twice; between heartbeats that are late, the log leaves the oldest out.
        let steps = trained.compactMap { $0["step"] as? Int }
        #expect(zip(steps, steps.dropFirst()).allSatisfy { $0 < $1 } && steps.last == 1000)
    }

    private static func measured(_ outputs: String, _ suite: LocalSuiteFixture) throws -> [[String:
        Any]]
    {
        try String(contentsOfFile: outputs + "/run/metrics.jsonl", encoding: .utf8).split(
            separator: "\n"
        )
        .map { try suite.json(String($0)) }
    }

    /// Waits until a job trains, which takes seconds then, and puts a file into its output folder.
    private static func block(
        _ name: String,
        of job: String,
        in suite: LocalSuiteFixture
    ) throws {
        try #require(try suite.awaitEvent(of: job) { $0["phase"] as? String == "train" })
        let home = suite.folder + "/home"
        let paths = try #require(FileManager.default.enumerator(atPath: home))
        let output = paths.lazy.compactMap { $0 as? String }.first { $0.hasSuffix("\(job)/output") }
        let folder = try #require(output, "job \(job) has no output folder")
        try Data("in the way".utf8).write(to: URL(filePath: "\(home)/\(folder)/\(name)"))
    }
}
