internal import Foundation
internal import ModelFiles
internal import Testing

/// Trainings of several ranks, in the processes that mpirun starts.
///
/// Serialized: each case starts processes that compute, and two cores carry few at a time.
@Suite(.serialized, .enabled(if: OpenMPI.isInstalled, OpenMPI.wanted))
struct RankProcessTests {
    private static func members(
        devices: Int,
        accumulation: Int,
        minimum: Int? = nil,
        steps: Int = 24,
        _ more: String = ""
    ) -> String {
        let least = minimum.map { ", \"min_devices\": \($0)" } ?? ""
        return """
            "trainer": {"max_steps": \(steps), "micro_batch_size": 1, "devices": \(devices) \(least),
                        "accumulate_grad_batches": \(accumulation), "val_check_interval": 8,
                        "limit_val_batches": 2, "checkpoint_every_steps": 6, "log_every_n_steps": 4},
            "optim": {"lr": 0.003} \(more)
            """
    }

    private static let weights = "model/model.safetensors"

    private static func losses(_ outcome: TrainingChild.Outcome) throws -> [Double] {
        try outcome.rows().compactMap { $0["loss"] as? Double }
    }

    /// Mean losses of steps and the exported model's perplexity, relative to one process's.
    ///
    /// Tolerance: gradients are added in another order, which moves a few weights across a rounding border of
    /// FP4; losses of some 5 nats follow in the fourth digit.
    private static func expectAlike(
        _ found: TrainingChild.Outcome,
        _ expected: TrainingChild.Outcome
    ) throws {
        let (losses, wanted) = (try losses(found), try losses(expected))
        #expect(losses.count == wanted.count && !wanted.isEmpty)
        for (loss, wanted) in zip(losses, wanted) {
            #expect(abs(loss - wanted) <= 2e-3 * wanted, "\(losses) \(wanted)")
        }
        let results = (try found.results(), try expected.results())
        for key in ["baseline_perplexity", "ptq_perplexity", "qat_perplexity"] {
            let value = try #require(results.0[key] as? Double)
            let wanted = try #require(results.1[key] as? Double)
            #expect(abs(value - wanted) <= 1e-2 * wanted, "\(key): \(value), alone \(wanted)")
        }
        #expect(results.0["tokens"] as? Int == results.1["tokens"] as? Int)
    }

    /// The same windows in as many ranks give the model of one process, and the same bits each time.
    @Test(arguments: [2, 4])
    func ranksTrainWhatOneProcessDoes(count: Int) throws {
        let child = try TrainingChild()
        let alone = try child.run("alone", Self.members(devices: 1, accumulation: 4))
        let together = Self.members(devices: count, accumulation: 4 / count)
        let first = try child.run("first", together, ranks: [count])
        #expect(first.failure == nil && first.statuses == [0], "\(first.failure ?? first.errors)")
        #expect(first.log.contains { $0.hasPrefix("ranks: \(count) with 1 threads") })
        try Self.expectAlike(first, alone)
        let again = try child.run("again", together, ranks: [count])
        #expect(try again.file(Self.weights) == first.file(Self.weights))
        #expect(try again.file("run/metrics.jsonl") != Data())
    }

    /// Whichever rank dies, and however often, the job goes on from its checkpoint to the same bits.
    @Test func aKilledRankResumes() throws {
        let child = try TrainingChild()
        let job = Self.members(devices: 2, accumulation: 2)
        let whole = try child.run("whole", job, ranks: [2])
        let killed = try child.run(
            "killed",
            job,
            breaks: [.killRank(1, at: 7), .killRank(0, at: 13), .stop(16), .kill(20)],
            moves: true,
            ranks: [2]
        )
        #expect(killed.attempts == 5 && killed.failure == nil, "\(killed.errors)")
        // As a shell says of signal 9; a launcher that is killed itself leaves no rank behind.
        #expect(killed.statuses == [137, 137, 75, 137, 0], "\(killed.errors)")
        #expect(killed.log.contains { $0.hasPrefix("resuming from the checkpoint of step 6") })
        #expect(killed.log.contains { $0.hasPrefix("resuming from the checkpoint of step 12") })
        #expect(try killed.file(Self.weights) == whole.file(Self.weights))
    }

    /// A job goes on with fewer ranks, down to one process, and more, on the same windows.
    @Test func itGoesOnWithFewerRanks() throws {
        let child = try TrainingChild()
        let job = Self.members(devices: 4, accumulation: 1, minimum: 1)
        let whole = try child.run("whole", job, ranks: [4])
        let moved = try child.run(
            "moved",
            job,
            breaks: [.stop(5), .killRank(1, at: 11), .stop(15)],
            moves: true,
            ranks: [4, 2, 1, 3]
        )
        #expect(moved.failure == nil, "\(moved.failure ?? "") \(moved.errors)")
        #expect(moved.log.filter { $0.hasSuffix("are asked for)") }.count == 3)
        try Self.expectAlike(moved, whole)
    }

    /// The configuration that guides to NeMo print, with another model, corpus, accelerator, number of devices
    /// and, so that it is soon over, length of windows.
    ///
    /// Of 100 documents of 66 tokens 99 are trained on: 102 windows of 64, of which two ranks take 51 times two an
    /// epoch; a quarter of 51 is 13.
    @Test func theGuidesConfigurationTrains() throws {
        let child = try TrainingChild()
        let corpus = try CorpusWriter(prefix: child.folder + "/corpus", vocabularySize: 256)
        for document in 0..<100 {
            try corpus.append((0..<66).map { Int32(33 + ($0 * $0 + document) % 90) })
        }
        try corpus.commit()
        let example = URL(filePath: #filePath).resolvingSymlinksInPath()
            .appending(path: "../../../examples/train-nemo.json").standardized
        var job = try TrainingChild.object(String(contentsOf: example, encoding: .utf8))
        func set(_ section: String, _ values: [String: Any]) throws {
            let members = try #require(job[section] as? [String: Any])
            job[section] = members.merging(values) { $1 }
        }
        job["model"] = "model"
        try set("trainer", ["devices": 2, "accelerator": "cpu"])
        try set("data", ["train": ["corpus"], "seq_length": 64])
        let spec = try JSONSerialization.data(withJSONObject: job)
        let found = try child.run(
            "guide",
            "",
            ranks: [2],
            spec: String(decoding: spec, as: UTF8.self),
            text: "corpus"
        )
        #expect(found.failure == nil && found.statuses == [0], "\(found.failure ?? found.errors)")
        #expect(found.log.contains { $0.hasPrefix("ranks: 2 with 1 threads") })
        #expect(found.log.contains { $0.hasPrefix("keys and values: FP8 under scales") })
        let results = try found.results()
        #expect(results["steps"] as? Int == 5 * 51)
        #expect(results["tokens"] as? Int == 5 * 51 * 2 * 64)
        let rows = try found.rows()
        let validated = rows.filter { $0["validation_perplexity"] != nil }
        #expect(validated.compactMap { $0["step"] as? Int }.starts(with: [13, 26, 39, 52]))
        let rates = rows.compactMap { row in
            (row["learning_rate"] as? Double).map { (row["step"] as? Int ?? 0, $0) }
        }
        for (step, rate) in rates where step <= 100 {
            #expect(abs(rate - 1e-5 * Double(step) / 100) <= 1e-12, "step \(step)")
        }
        // By hand, the end of half a cosine; nothing stays constant behind it.
        #expect(abs((rates.last?.1 ?? 0) - 1e-6) <= 1e-8)
    }

    /// What is trained beside the weights, or in their place, comes through, from a start method to the best
    /// validation's export.
    @Test(
        arguments: [
            ("a teacher", #""distillation": {"loss": "kl", "cross_entropy": 0.2}"#),
            ("adapters", #""lora": {"r": 4}"#),
            ("moments of a byte", #""optim": {"lr": 0.003, "moments": "int8"}"#),
            ("an average", #""ema": 0.9"#),
            (
                "learned scales",
                #""quantization": {"algorithm": "mxfp4", "method": "mse", "scales": "learned"}"#
            ),
            (
                "learned thresholds and a cache",
                """
                "quantization": {"algorithm": "nvfp4", "activations": "nvfp4",
                                 "activation_scales": "learned", "enable_kv_cache": true}
                """
            ),
            (
                "frozen codes",
                """
                "quantization": {"algorithm": "mxfp4",
                                 "oscillation": {"dampen": 0.01, "freeze": 0.02, "flip_momentum": 0.1}}
                """
            ),
            (
                "two formats",
                #""quantization": {"algorithm": "mxfp8", "formats": ["mxfp8", "mxfp4"]}"#
            ),
            ("a start", #""start": "gptq""#),
        ]
    )
    func allThatIsTrained(name: String, section: String) throws {
        let child = try TrainingChild()
        func job(_ devices: Int) throws -> String {
            let members = Self.members(devices: devices, accumulation: 2 / devices, steps: 16)
            var job = try TrainingChild.object("{\(members)}")
            let found = try TrainingChild.object("{\(section)}")
            if let decay = found["ema"], var trainer = job["trainer"] as? [String: Any] {
                trainer["ema"] = decay
                job["trainer"] = trainer
            } else {
                job.merge(found) { $1 }
            }
            let text = try JSONSerialization.data(withJSONObject: job)
            return String(decoding: text.dropFirst().dropLast(), as: UTF8.self)
                + #", "export_from": "best""#
        }
        let alone = try child.run("alone", try job(1))
        let together = try child.run("together", try job(2), ranks: [2])
        #expect(together.failure == nil, "\(name): \(together.failure ?? "") \(together.errors)")
        try Self.expectAlike(together, alone)
        let killed = try child.run(
            "killed",
            try job(2),
            breaks: [.killRank(1, at: 8)],
            moves: true,
            ranks: [2]
        )
        let file = name == "two formats" ? "model-mxfp4/model.safetensors" : Self.weights
        #expect(try killed.file(file) == together.file(file), "\(name)")
    }
}
