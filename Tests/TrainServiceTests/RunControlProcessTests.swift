internal import Foundation
internal import Testing

/// What run control does to real trainings, in the processes that daemons start.
///
/// Serialized: each case starts processes that compute, and two cores carry one at a time.
@Suite(.serialized) struct RunControlProcessTests {
    /// At this rate validations go up and down.
    private static func members(
        steps: Int,
        _ trainer: String = "",
        rate: Double = 0.1,
        _ more: String = ""
    ) -> String {
        """
        "trainer": {"max_steps": \(steps), "micro_batch_size": 2, "val_check_interval": 5,
                    "limit_val_batches": 2, "checkpoint_every_steps": 8, "log_every_n_steps": 5 \(trainer)},
        "optim": {"lr": \(rate)} \(more)
        """
    }

    private static let weights = "model/model.safetensors"

    /// What is exported of a run's best validation are, bit for bit, the weights of a run that ends there, however
    /// often the run was killed and wherever it went on.
    @Test func theBestIsExportedWhateverIsKilled() throws {
        let child = try TrainingChild()
        let best = #", "export_from": "best""#
        let whole = try child.run("whole", Self.members(steps: 60, "", best))
        let results = try whole.results()
        let step = try #require(results["best_step"] as? Int)
        #expect(step < 60 && results["exported_step"] as? Int == step, "\(results)")
        #expect(results["steps"] as? Int == 60 && results["ended_early"] is NSNull)
        // The lowest of all that were measured.
        let rows = try whole.rows()
        let validations = rows.compactMap { row in
            (row["validation_perplexity"] as? Double).map { (row["step"] as? Int ?? 0, $0) }
        }
        #expect(validations.map(\.0) == Array(stride(from: 5, through: 60, by: 5)))
        #expect(validations.min { $0.1 < $1.1 }?.0 == step)
        let short = try child.run("short", Self.members(steps: step))
        let expected = try short.file(Self.weights)
        #expect(try whole.file(Self.weights) == expected)
        let last = try child.run("last", Self.members(steps: 60))
        #expect(try last.file(Self.weights) != expected)
        #expect(try last.results()["exported_step"] as? Int == 60)
        let killed = try child.run(
            "killed",
            Self.members(steps: 60, "", best),
            breaks: [.kill(17), .stop(31), .kill(52)],
            moves: true
        )
        #expect(killed.attempts == 4)
        #expect(killed.log.contains { $0.hasPrefix("resuming from the checkpoint of step") })
        #expect(try killed.file(Self.weights) == expected)
        #expect(try killed.results()["best_step"] as? Int == step)
    }

    /// Flips a bit of the weights of a checkpoint in all places that have it: they are links to one file.
    private static func damage(_ step: Int, in checkpoints: String) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: checkpoints)
        let newest = try #require(names.filter { $0.hasPrefix("step-") }.max())
        let own = "\(checkpoints)/step-\(String(format: "%08d", step))/model.safetensors"
        let carried = ["best.", "anchor."].map { "\(checkpoints)/\(newest)/\($0)model.safetensors" }
        let path = try #require(
            ([own] + carried).first(where: FileManager.default.fileExists),
            "\(names)"
        )
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.seek(toOffset: 50_000)
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: 50_000)
        try file.write(contentsOf: [byte ^ 1])
        try file.close()
    }

    /// Seen: a flipped bit in the best checkpoint's file cost all of the run, which began at step 0.
    @Test func aDamagedBestCostsNoStep() throws {
        let child = try TrainingChild()
        let best = #", "export_from": "best""#
        let whole = try child.run("whole", Self.members(steps: 60, "", best))
        let step = try #require(try whole.results()["best_step"] as? Int)
        try #require(step < 53, "there is nothing to see")
        let damaged = try child.run(
            "damaged",
            Self.members(steps: 60, "", best),
            breaks: [.stop(53)],
            between: { try Self.damage(step, in: $0) }
        )
        let results = try damaged.results()
        #expect(results["exported_step"] as? Int == 60, "\(results)")
        let warnings = try #require(results["warnings"] as? [String])
        #expect(
            warnings.contains {
                $0.contains("that of step \(step), was damaged")
                    && $0.contains("of step 60 are exported")
            }
        )
        // These steps are fast: the last one may be taken before the stop is heard.
        #expect(
            damaged.log.contains {
                $0.hasPrefix("resuming from the checkpoint of step ")
                    || $0.hasPrefix("all 60 steps")
            },
            "\(damaged.log)"
        )
        #expect(
            damaged.log.contains { $0.contains("best.model.safetensors: the digest") },
            "\(damaged.log)"
        )
        let last = try child.run("last", Self.members(steps: 60))
        #expect(try damaged.file(Self.weights) == last.file(Self.weights))
    }

    /// A run whose newest good checkpoint is damaged goes back to another one, not to the start.
    @Test func aDamagedAnchorHasAnother() throws {
        let child = try TrainingChild()
        let outcome = try child.run(
            "damaged",
            Self.diverging(steps: 60, factor: 1.05, patience: 4),
            breaks: [.stop(52)],
            between: { try Self.damage(48, in: $0) }
        )
        let back = outcome.log.filter { $0.contains("went back to") }
        #expect(back.count { $0.contains("went back to the checkpoint of step 5") } == 1, "\(back)")
        #expect(!back.contains { $0.contains("the start") })
        #expect(
            outcome.log.contains { $0.contains("that of step 48, is damaged") },
            "\(outcome.log)"
        )
    }

    /// What a run trains beside the weights, or in their place, is that of the best step, too.
    @Test(
        arguments: [
            (
                "moments of a byte", 45,
                #""optim": {"lr": 0.033, "name": "lion", "moments": "int8"}"#
            ),
            ("an average", 45, #""ema": 0.3"#), ("adapters", 60, #""lora": {"r": 4}"#),
            ("a teacher that is released", 60, #""distillation": {"loss": "kl"}"#),
            (
                "learned scales", 60,
                #""quantization": {"algorithm": "mxfp4", "method": "mse", "scales": "learned", "scale_lr": 0.01}"#
            ),
            (
                "learned thresholds", 45,
                """
                "quantization": {"algorithm": "nvfp4", "activations": "nvfp4",
                                 "activation_scales": "learned", "clip_lr": 0.05}, "optim": {"lr": 0.2}
                """
            ),
            (
                "frozen codes", 45,
                """
                "quantization": {"algorithm": "mxfp4",
                                 "oscillation": {"freeze": 0.02, "flip_momentum": 0.1}}
                """
            ),
            (
                "two formats", 60,
                #""quantization": {"algorithm": "mxfp8", "formats": ["mxfp8", "mxfp4"]}"#
            ),
        ]
    )
    func theBestIsWhole(name: String, steps: Int, section: String) throws {
        let child = try TrainingChild()
        func job(_ count: Int, _ more: String = "") throws -> String {
            var job = try TrainingChild.object("{\(Self.members(steps: count))}")
            let found = try TrainingChild.object("{\(section)}")
            if let decay = found["ema"], var trainer = job["trainer"] as? [String: Any] {
                trainer["ema"] = decay
                job["trainer"] = trainer
            } else {
                job.merge(found) { $1 }
            }
            let text = try JSONSerialization.data(withJSONObject: job)
            return String(decoding: text.dropFirst().dropLast(), as: UTF8.self) + more
        }
        let best = #", "export_from": "best""#
        let killed = try child.run(
            "killed",
            try job(steps, best),
            breaks: [.kill(12), .stop(steps - 4)],
            moves: true
        )
        let step = try #require(
            try killed.results()["best_step"] as? Int,
            "\(killed.failure ?? "")"
        )
        #expect(step < steps, "\(name): there is nothing to see")
        let short = try child.run("short", try job(step))
        let files = try FileManager.default.contentsOfDirectory(atPath: short.folder)
            .filter { $0.hasPrefix("model") }.map { $0 + "/model.safetensors" }
        #expect(!files.isEmpty)
        for file in files { #expect(try killed.file(file) == short.file(file), "\(name): \(file)") }
    }

    @Test func aRunThatGetsNoBetterEndsEarly() throws {
        let child = try TrainingChild()
        let stopping = #", "early_stopping": {"patience": 2}"#
        let early = try child.run("early", Self.members(steps: 400, stopping, rate: 0.05))
        let results = try early.results()
        let step = try #require(results["best_step"] as? Int)
        let end = try #require(results["steps"] as? Int)
        #expect(end == step + 10 && end < 400, "\(results)")
        let sentence = try #require(results["ended_early"] as? String)
        #expect(
            sentence == "ended early at step \(end) of 400: 2 validations in a row were no better "
                + "than that of step \(step)"
        )
        #expect(early.log.contains(sentence))
        let page = String(decoding: try early.file("report.html"), as: UTF8.self)
        #expect(page.contains(sentence))
        let short = try child.run("short", Self.members(steps: step, rate: 0.05))
        #expect(try early.file(Self.weights) == short.file(Self.weights))
        // Killed between the best and the end, and after the end.
        let breaks: [TrainingChild.Break] = [.stop(step + 3), .kill(end)]
        let killed = try child.run(
            "killed",
            Self.members(steps: 400, stopping, rate: 0.05),
            breaks: breaks,
            moves: true
        )
        #expect(try killed.file(Self.weights) == short.file(Self.weights))
        #expect(try killed.results()["ended_early"] as? String == sentence)
    }

    /// The rate climbs until the loss stays above its level, at step 57.
    private static func diverging(steps: Int, factor: Double, patience: Int) -> String {
        let guarding = """
            , "divergence_guard": {"loss_factor": \(factor), "patience": \(patience)}
            """
        return members(steps: steps, guarding)
            .replacing(#""lr": 0.1"#, with: #""lr": 1, "sched": {"warmup_steps": 100}"#)
    }

    /// A run that diverges goes back to the same checkpoint and ends with the same bits, wherever it is killed or
    /// stopped: between the checkpoint and the divergence, and after it.
    @Test func aRunThatDivergesGoesBackOnce() throws {
        let child = try TrainingChild()
        let members = Self.diverging(steps: 60, factor: 1.05, patience: 4)
        let whole = try child.run("whole", members)
        #expect(whole.failure == nil)
        let results = try whole.results()
        let sentence = try #require(results["rolled_back"] as? String)
        #expect(sentence.hasPrefix("step 57: the loss of "), "\(sentence)")
        #expect(
            sentence.contains("went back to the checkpoint of step 48, and on from there at 0.5")
        )
        #expect((results["warnings"] as? [String])?.contains(sentence) == true)
        #expect(whole.log.contains(sentence))
        #expect(whole.log.contains { $0.contains("of its weights: ") })
        let warnings = whole.layerWarnings
        #expect(!warnings.isEmpty && Set(warnings).count == warnings.count, "\(warnings)")
        let page = String(decoding: try whole.file("report.html"), as: UTF8.self)
        #expect(page.contains(sentence))
        // The rate climbs by a sixtieth a step, and by half of that from step 48 on.
        let rows = try whole.rows()
        let rates = rows.compactMap { row in
            (row["learning_rate"] as? Double).map { (row["step"] as? Int ?? 0, $0) }
        }
        #expect(rates.map(\.0) == Array(stride(from: 5, through: 60, by: 5)))
        for (step, rate) in rates {
            #expect(abs(rate - Double(step) / 60 * (step > 48 ? 0.5 : 1)) < 1e-12, "\(step)")
        }
        let back = try #require(rows.first { $0["rolled_back_from"] != nil })
        #expect(back["rolled_back_from"] as? Int == 57 && back["step"] as? Int == 48)
        let expected = try whole.file(Self.weights)
        let breaks: [[TrainingChild.Break]] = [[.stop(52), .kill(58)], [.kill(30), .stop(55)]]
        for (index, breaks) in breaks.enumerated() {
            let killed = try child.run("killed-\(index)", members, breaks: breaks, moves: true)
            #expect(try killed.file(Self.weights) == expected, "\(breaks)")
            #expect(try killed.results()["rolled_back"] as? String == sentence)
        }
        let off = members.replacing("\"loss_factor\"", with: "\"enabled\": false, \"loss_factor\"")
        let unguarded = try child.run("off", off)
        #expect(try unguarded.results()["rolled_back"] is NSNull)
        #expect(try unguarded.file(Self.weights) != expected)
    }

    @Test func aRunThatDivergesAgainFails() throws {
        let child = try TrainingChild()
        let outcome = try child.run("twice", Self.diverging(steps: 100, factor: 1.01, patience: 2))
        let failure = try #require(outcome.failure)
        #expect(failure.hasPrefix("DIVERGED: step "), "\(failure)")
        #expect(failure.contains("again, after training went back to the checkpoint of step"))
        #expect(failure.contains("model.layers."))
        // Weights beyond all numbers after the first update, and no checkpoint to go back to.
        let infinite = try child.run(
            "infinite",
            Self.members(steps: 30).replacing(
                #""lr": 0.1"#,
                with: #""lr": 1, "weight_decay": 1e30"#
            )
        )
        let sentence = try #require(infinite.failure)
        #expect(sentence.hasPrefix("DIVERGED: step 2: "), "\(sentence)")
        #expect(sentence.contains("model.") && sentence.contains("went back to the start"))
        #expect(infinite.log.count { $0.contains("went back to the start") } == 1)
    }

    /// The run folder's configuration, run again, gives the same weights.
    @Test func aRunIsRepeatedFromItsFolder() throws {
        let child = try TrainingChild()
        let first = try child.run(
            "first",
            Self.members(steps: 12, "", #", "export_from": "best", "distillation": {}"#)
        )
        let config = String(decoding: try first.file("run/config.json"), as: UTF8.self)
        #expect(
            config.contains(#""checkpoint_every_steps": 8"#)
                && config.contains(#""betas": [0.9,0.95]"#)
        )
        let second = try child.run("second", "", spec: config)
        #expect(try first.file(Self.weights) == second.file(Self.weights))
        #expect(try second.file("run/config.json") == first.file("run/config.json"))
        #expect(second.log.filter { $0.hasPrefix("$.") } == first.log.filter { $0.hasPrefix("$.") })
        let inputs = try #require(
            try JSONSerialization.jsonObject(with: try first.file("run/inputs.json"))
                as? [[String: Any]]
        )
        #expect(
            inputs.map { $0["place"] as? String } == [
                "$.model", "$.data.train[0]", "$.data.validation[0]",
            ]
        )
        let files = try #require(inputs[1]["files"] as? [[String: Any]])
        #expect(files.map { $0["sha256"] as? String } == ["ab"])
        let environment = try TrainingChild.object(
            String(decoding: try first.file("run/environment.json"), as: UTF8.self)
        )
        #expect(environment["seed"] as? Int == 7 && environment["threads"] as? Int == 1)
        #expect(
            environment["attempt"] as? Int == 1 && environment["resumed_from_step"] as? Int == 0
        )
        let blas = try #require(environment["blas"] as? [String: Any])
        #expect((blas["configuration"] as? String)?.hasPrefix("OpenBLAS") == true)
        let processor = try #require(environment["processor"] as? [String: Any])
        for key in ["model", "architecture", "kernels"] {
            #expect(processor[key] is String, "\(key)")
        }
    }
}
