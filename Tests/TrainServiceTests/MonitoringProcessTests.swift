internal import Foundation
internal import Testing

/// What real trainings record, and what of the job reaches the engine, in the processes that daemons start.
///
/// Serialized: each case starts processes that compute, and two cores carry one at a time.
@Suite(.serialized) struct MonitoringProcessTests {
    private static func members(
        steps: Int,
        every: Int,
        _ trainer: String = "",
        optimizer: String = #""lr": 0.003"#
    ) -> String {
        """
        "trainer": {"max_steps": \(steps), "micro_batch_size": 2, "val_check_interval": 8,
                    "limit_val_batches": 2, "checkpoint_every_steps": 6, "log_every_n_steps": \(every) \(trainer)},
        "optim": {\(optimizer)}
        """
    }

    private static let weights = "model/model.safetensors"

    /// What two records have to agree on: step, format, losses, and of layers what an attempt's start does not change.
    private static func fixed(_ rows: [[String: Any]]) -> [String] {
        rows.filter { $0["stage"] != nil }.map { row in
            let layers = row["layers"] as? [String: [String: Double]] ?? [:]
            let figures = layers.sorted { $0.key < $1.key }.map { module, figures in
                let kept = figures.filter { $0.key != "flipped_share" }.sorted { $0.key < $1.key }
                return "\(module) \(kept)"
            }
            let whole = ["step", "format", "stage", "loss", "gradient_norm", "learning_rate"]
            return "\(whole.map { "\(row[$0] ?? "none")" }) \(figures)"
        }
    }

    /// Seen: of a training for mxfp8 and mxfp4 the records had mxfp4 alone, at any interval that two divides.
    @Test func eachFormatIsRecorded() throws {
        let child = try TrainingChild()
        let job =
            Self.members(steps: 20, every: 4)
            + #", "quantization": {"formats": ["mxfp8", "mxfp4"]}"#
        let whole = try child.run("whole", job)
        let rows = try whole.rows()
        let steps = rows.filter { $0["stage"] != nil }
        let expected = [3, 4, 7, 8, 11, 12, 15, 16, 19, 20]
        #expect(steps.compactMap { $0["step"] as? Int } == expected)
        for (place, row) in steps.enumerated() {
            let format = place % 2 == 0 ? "mxfp8" : "mxfp4"
            #expect(row["format"] as? String == format && row["stage"] as? String == format)
            for key in ["loss", "gradient_norm", "learning_rate", "update_ratio_max"] {
                #expect(row[key] is Double, "step \(row["step"] ?? ""): \(key)")
            }
            // Eight bits: some 30 dB; four: some 18.
            let noise = try #require(row["sqnr_db_min"] as? Double)
            #expect(format == "mxfp8" ? noise > 25 : noise < 22, "\(format): \(noise)")
            let layers = try #require(row["layers"] as? [String: [String: Double]])
            #expect(layers.count == 14)
            for (module, figures) in layers {
                let missing: Set<String> = place < 2 ? ["flipped_share"] : []
                let names: Set<String> = [
                    "mean", "std", "min", "max", "amax", "mean_absolute_error", "sqnr_db",
                    "saturated_share", "gradient_norm", "update_ratio", "flipped_share",
                ]
                #expect(Set(figures.keys) == names.subtracting(missing), "\(module)")
            }
        }
        for key in ["validation_perplexity", "ptq_perplexity", "qat_perplexity"] {
            let found = Set(rows.filter { $0[key] != nil }.map { $0["format"] as? String ?? "" })
            #expect(found == ["mxfp8", "mxfp4"], "\(key)")
        }
        for (name, head) in [
            ("metrics.csv", "step,time,stage,format,"), ("layers.csv", "step,format,module,"),
        ] {
            let text = String(decoding: try whole.file("run/\(name)"), as: UTF8.self)
            #expect(text.hasPrefix(head), "\(name)")
        }
        let page = String(decoding: try whole.file("report.html"), as: UTF8.self)
        for format in ["mxfp8", "mxfp4"] {
            #expect(page.contains("Loss in \(format)"))
            #expect(page.contains("Signal to quantization noise over time in \(format)"))
        }
        // Streams tell of each, too.
        let told = whole.events.filter { $0["type"] as? String == "metric" }
            .compactMap { $0["json"] as? String }.filter { $0.contains("\"worst_layer\"") }
        #expect(told.count == expected.count && told.allSatisfy { $0.contains("\"loss\"") })
        let killed = try child.run("killed", job, breaks: [.kill(9), .stop(15)], moves: true)
        #expect(Self.fixed(try killed.rows()) == Self.fixed(rows))
    }

    /// Records of a training for one format say nothing of formats.
    @Test func oneFormatIsNotNamed() throws {
        let child = try TrainingChild()
        let found = try child.run("one", Self.members(steps: 8, every: 4))
        #expect(try found.rows().allSatisfy { $0["format"] == nil })
        let tables = try ["metrics", "layers"].map {
            String(decoding: try found.file("run/\($0).csv").prefix(40), as: UTF8.self)
        }
        #expect(tables[0].hasPrefix("step,time,stage,baseline_perplexity,"))
        #expect(tables[1].hasPrefix("step,module,mean,"))
    }

    /// Seen: a run that went back, to the start or to a checkpoint, said all its warnings again.
    @Test func whatWentBackSaysNothingTwice() throws {
        let child = try TrainingChild()
        let guarding = #", "divergence_guard": {"loss_factor": 1.05, "patience": 3}"#
        let job = Self.members(
            steps: 60,
            every: 5,
            guarding,
            optimizer: #""lr": 1, "sched": {"warmup_steps": 100}"#
        ).replacing(#""checkpoint_every_steps": 6"#, with: #""checkpoint_every_steps": 64"#)
        let found = try child.run("back", job)
        #expect(found.log.contains { $0.contains("went back to the start") }, "\(found.log)")
        let warnings = found.layerWarnings
        #expect(warnings.count > 3 && Set(warnings).count == warnings.count, "\(warnings)")
        let ofJob = found.log.filter { $0.hasPrefix("$.") }
        #expect(Set(ofJob).count == ofJob.count, "\(ofJob)")
        // Of the course that led nowhere no row is left; at a rate that is half as high this run ends on some
        // processors, and diverges again on others.
        guard found.failure == nil else {
            #expect(found.failure?.hasPrefix("DIVERGED: ") == true, "\(found.failure ?? "")")
            return
        }
        let steps = try found.rows().filter { $0["loss"] != nil }.compactMap { $0["step"] as? Int }
        #expect(steps == Array(stride(from: 5, through: 60, by: 5)))
    }

    /// By hand: three steps up, five of half a cosine, four at its end.
    @Test func ratesAreTheJobs() throws {
        let child = try TrainingChild()
        let schedule = """
            "lr": 0.004, "sched": {"name": "CosineAnnealing", "warmup_steps": 3, "constant_steps": 4,
                                   "min_lr": 0.001}
            """
        let found = try child.run("rates", Self.members(steps: 12, every: 1, optimizer: schedule))
        let rates = try found.rows().compactMap { $0["learning_rate"] as? Double }
        let falling = (0..<5).map { 0.001 + 0.003 * 0.5 * (1 + cos(.pi * Double($0) / 5)) }
        let expected =
            [0.004 / 3, 0.008 / 3, 0.004] + falling + [Double](repeating: 0.001, count: 4)
        #expect(rates.count == 12)
        for (step, (rate, wanted)) in zip(rates, expected).enumerated() {
            #expect(abs(rate - wanted) < 1e-9, "step \(step + 1)")
        }
    }

    /// Products of BF16 operands give other weights where the processor has them, and the same, said so, where not.
    @Test func thePrecisionReachesTheProducts() throws {
        let child = try TrainingChild()
        func run(_ precision: String) throws -> TrainingChild.Outcome {
            let name = ", \"precision\": \"\(precision)\""
            return try child.run(precision, Self.members(steps: 8, every: 4, name))
        }
        let (single, mixed) = (try run("32"), try run("bf16-mixed"))
        let environment = try TrainingChild.object(
            String(decoding: try mixed.file("run/environment.json"), as: UTF8.self)
        )
        let processor = try #require(environment["processor"] as? [String: Any])
        let hasProducts = try #require(processor["multiplies_bf16"] as? Bool)
        let areSame = try single.file(Self.weights) == mixed.file(Self.weights)
        #expect(areSame != hasProducts)
        let sentence =
            "$.trainer.precision: bf16-mixed: this worker's processor does not multiply BF16"
        #expect(mixed.log.contains { $0.hasPrefix(sentence) } != hasProducts)
        #expect(!single.log.contains { $0.contains("$.trainer.precision") })
        // The same model, to the digits that eight bits leave.
        let losses = try [single, mixed].map { try $0.rows().compactMap { $0["loss"] as? Double } }
        for (one, other) in zip(losses[0], losses[1]) { #expect(abs(one / other - 1) < 0.05) }
    }
}
