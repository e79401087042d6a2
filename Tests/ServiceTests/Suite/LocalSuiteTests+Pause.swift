internal import Foundation
internal import Protocol
internal import Testing

/// A training that is paused on its way and resumed, beside one that is not, through the built programs.
extension LocalSuiteTests {
    private static let pausedJob = """
        {"name": "NAME", "model": "model", "quantization": {"algorithm": "mxfp4"},
         "trainer": {"max_steps": 1500, "micro_batch_size": 2, "val_check_interval": 250,
                     "limit_val_batches": 2, "checkpoint_every_steps": 1400, "log_every_n_steps": 100},
         "optim": {"lr": 0.01}, "data": {"train": ["train.txt"], "validation": ["validation.txt"],
         "seq_length": 32}, "seed": 11}
        """

    private static func submit(_ suite: LocalSuiteFixture, _ name: String) throws -> String {
        try suite.write(pausedJob.replacing("NAME", with: name), "\(name).json")
        let file = "\(suite.folder)/\(name).json"
        let submitted = try suite.client("submit", "train", file, "--json")
        #expect(submitted.status == 0, "\(submitted.errors)")
        return try #require(try suite.json(submitted.output)["job_id"] as? String)
    }

    private static func status(
        _ suite: LocalSuiteFixture,
        _ job: String
    ) throws -> [String: Any] {
        try suite.json(try suite.client("status", job, "--json").output)
    }

    /// The final weights are those of a run without a pause, to the bit.
    @Test func aPausedTrainingGoesOnFromWhereItStopped() throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        try suite.up()
        let whole = try Self.submit(suite, "whole")
        #expect(try suite.client("wait", whole, "--timeout", "120").status == 0)
        let job = try Self.submit(suite, "parts")
        #expect(try suite.awaitEvent(of: job) { ($0["step"] as? Int ?? 0) >= 60 })
        let paused = try suite.client("pause", job)
        #expect(paused.status == 0 && paused.output.hasPrefix("\(job)  PAUSING"), "\(paused)")
        #expect(paused.errors.contains("at its next step"), "\(paused.errors)")
        #expect(try suite.awaitEvent(of: job) { $0["state"] as? String == "PAUSED" })
        let resting = try Self.status(suite, job)
        let step = try #require((resting["progress"] as? [String: Any])?["step"] as? Int)
        // Before the first checkpoint that it makes by itself.
        #expect(step >= 60 && step < 1400, "\(step)")
        let user = try #require(resting["owner"] as? String)
        #expect(
            resting["wait_reason"] as? String == "paused by \(user); qat-client resume \(job)"
        )
        // The worker is free for others while it rests, and a wait of it goes on.
        let other = try Self.submit(suite, "other")
        #expect(try suite.awaitEvent(of: other) { ($0["step"] as? Int ?? 0) >= 1 })
        #expect(try suite.client("cancel", other, "--now").status == 0)
        #expect(try suite.client("wait", other, "--timeout", "60").status == 3)
        let waited = try suite.client("wait", job, "--timeout", "2")
        #expect(waited.status == 124 && waited.errors.contains("paused by \(user)"), "\(waited)")
        #expect(try Self.status(suite, job)["state"] as? String == "PAUSED")
        let refused = try suite.client("retry", job)
        #expect(refused.status == 5 && refused.errors.contains("resume it"), "\(refused)")
        let resumed = try suite.client("resume", "parts")
        #expect(resumed.status == 0, "\(resumed.errors)")
        let end = try suite.client("wait", job, "--json", "--timeout", "120")
        #expect(end.status == 0, "\(end.output)\(end.errors)")
        #expect(try suite.json(end.output)["attempt"] as? Int == 2)
        let again = try suite.client("pause", job)
        #expect(again.status == 5 && again.errors.contains("SUCCEEDED"), "\(again)")
        let weights = try [whole, job].map { id in
            let folder = "\(suite.folder)/\(id)"
            #expect(try suite.client("download", id, "--to", folder).status == 0)
            return try Data(contentsOf: URL(filePath: folder + "/model/model.safetensors"))
        }
        #expect(weights[0] == weights[1])
        let environment = try JSONSerialization.jsonObject(
            with: Data(contentsOf: URL(filePath: "\(suite.folder)/\(job)/run/environment.json"))
        )
        #expect((environment as? [String: Any])?["resumed_from_step"] as? Int == step)
    }
}
