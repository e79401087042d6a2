internal import Foundation
internal import Testing

@testable internal import JobSpecs

/// The end, the best and the guard of a run in job files, and jobs with their defaults written out.
@Suite struct RunControlSpecTests {
    private static func job(_ members: String, data: String = "") throws -> ParsedJob {
        let json = """
            {"model": "m", "quantization": {"algorithm": "fp4"},
             "data": {"train": ["t"]\(data.isEmpty ? #", "validation": ["v"]"# : data)}, \(members)}
            """
        return try ParsedJob(kind: "train", json: Array(json.utf8))
    }

    private static func spec(_ members: String) throws -> TrainSpec {
        guard case .train(let spec) = try job(members).spec else {
            throw JobSpecError(.invalidSpec, "not a training job")
        }
        return spec
    }

    private static func refusal(_ members: String) -> String {
        let error = #expect(throws: JobSpecError.self) { try job(members) }
        return error?.description ?? ""
    }

    @Test func defaultsAreLightnings() throws {
        let usual = try Self.spec(#""seed": 1"#)
        #expect(usual.trainer.earlyStopping == nil && usual.exportSource == .last)
        let guarded = try #require(usual.trainer.divergenceGuard)
        #expect(guarded.lossFactor == 2 && guarded.patience == 10)
        let stopping = try Self.spec(#""trainer": {"early_stopping": {}}"#)
        let options = try #require(stopping.trainer.earlyStopping)
        #expect(options.patience == 3 && options.minimumDelta == 0 && options.threshold == nil)
        // Whoever ends early wants the best.
        #expect(stopping.exportSource == .best)
        let last = try Self.spec(#""trainer": {"early_stopping": {}}, "export_from": "last""#)
        #expect(last.exportSource == .last && last.judgesValidations)
        let off = try Self.spec(#""trainer": {"divergence_guard": {"enabled": false}}"#)
        #expect(off.trainer.divergenceGuard == nil)
        #expect(try Self.spec(#""export_from": "best""#).judgesValidations)
    }

    @Test(
        arguments: [
            (#""export_from": "first""#, "$.export_from: \"first\" is not allowed"),
            (#""export_from": "final""#, "write \"last\""),
            (
                #""trainer": {"early_stopping": true}"#,
                "found a boolean; expected an object; write {} for the defaults"
            ),
            (#""trainer": {"divergence_guard": false}"#, "write {\"enabled\": false}"),
            (#""trainer": {"early_stopping": {"patience": 0}}"#, "patience: 0 is not allowed"),
            (#""trainer": {"early_stopping": {"min_delta": -1}}"#, "min_delta: -1 is not allowed"),
            (
                #""trainer": {"divergence_guard": {"loss_factor": 1}}"#,
                "loss_factor: 1 is not allowed; expected a number > 1"
            ),
            (#""load_best_model_at_end": true"#, "did you mean \"export_from\""),
            (
                #""trainer": {"early_stopping_patience": 3}"#,
                "did you mean $.trainer.early_stopping.patience"
            ),
            (#""trainer": {"detect_anomaly": true}"#, "did you mean \"divergence_guard\""),
        ]
    )
    func whatCannotBeIsRefused(members: String, sentence: String) {
        let found = Self.refusal(members)
        #expect(found.contains(sentence), "\(found)")
    }

    /// The one patience and another: a first validation, three that are no better, and the last step's.
    @Test(
        arguments: [
            (
                #""trainer": {"max_steps": 40, "val_check_interval": 10, "early_stopping": {}}"#,
                "$.trainer.early_stopping: the run's 40 steps have 4 validations, too few"
            ),
            (
                #""trainer": {"max_steps": 50, "val_check_interval": 10, "early_stopping": {}}"#,
                nil
            ),
            (
                #""trainer": {"max_steps": 9, "val_check_interval": 9}, "export_from": "best""#,
                "$.export_from: the run's 9 steps have one validation"
            ),
            (
                #""trainer": {"divergence_guard": {"enabled": false, "patience": 3}}"#,
                "$.trainer.divergence_guard.patience: has no effect: the guard is off"
            ),
        ] as [(String, String?)]
    )
    func whatIsSaidInVainIsWarnedAbout(members: String, sentence: String?) throws {
        let warnings = try Self.job(members).warnings.map(\.description)
        #expect(warnings.count == (sentence == nil ? 0 : 1), "\(warnings)")
        if let sentence { #expect(warnings.first?.contains(sentence) == true, "\(warnings)") }
    }

    @Test func theTrainingTextIsAPoorJudge() throws {
        let judged = try Self.job(
            #""export_from": "best", "trainer": {"max_steps": 90, "val_check_interval": 10}"#,
            data: #", "seq_length": 64"#
        )
        let found = judged.warnings.map(\.description)
        #expect(found.count == 1 && found[0].contains("validations are of the training text"))
    }

    // MARK: Defaults written out

    private static let jobs = [
        #""seed": 1"#, #""trainer": {"max_steps": 5}, "optim": {"lr": 1e-4, "betas": [0.8, 0.9]}"#,
        #""distillation": {"loss": "js"}, "trainer": {"early_stopping": {"patience": 1}}"#,
        #""optim": {"name": "lion", "sched": {"name": "CosineAnnealing", "min_lr": 1e-6}}, "lora": {"r": 4}"#,
        #""export": [{"format": "gguf"}], "export_from": "best", "frozen": ["*norm*"]"#,
        #""trainer": {"val_check_interval": 1.0, "limit_val_batches": 0.5, "devices": 8}"#,
    ]

    /// It is the same job, with the same warnings, and has what it had.
    @Test(arguments: jobs)
    func aJobWithItsDefaultsIsTheSameJob(members: String) throws {
        let job = try Self.job(members)
        let resolved = job.resolved(holdsConversations: false)
        let text = resolved.indentedText
        let again = try ParsedJob(kind: "train", json: Array(text.utf8))
        guard case .train(let spec) = job.spec, case .train(var found) = again.spec else {
            return #expect(Bool(false), "not a training job")
        }
        found.namesFrozen = spec.namesFrozen
        found.data.namesSampling = spec.data.namesSampling
        #expect(found == spec)
        #expect(again.warnings.map(\.withoutLine) == job.warnings.map(\.withoutLine))
        #expect(again.resolved(holdsConversations: false) == resolved)
        #expect(again.document == resolved)
        for key in ["trainer", "optim"] { #expect(resolved[key]?.objectValue != nil) }
        let trainer = try #require(resolved["trainer"])
        #expect(trainer["checkpoint_every_steps"] == .number(50))
        #expect(trainer["divergence_guard"]?["loss_factor"] == .number(2))
        #expect(resolved["seed"] != nil && resolved["export_from"] != nil)
    }

    /// Seen: a run's configuration did not say that only answers had been learned, or which windows there were.
    @Test func whatIsLearnedOfConversationsIsWrittenOut() throws {
        let job = try Self.job(#""trainer": {"max_steps": 5}"#)
        let resolved = job.resolved(holdsConversations: true)
        #expect(resolved["data"]?["answer_only_loss"] == .boolean(true))
        #expect(resolved["data"]?["sampling"] == .string("random"))
        // Of texts without any it would be warned about.
        let plain = job.resolved(holdsConversations: false)
        #expect(plain["data"]?["answer_only_loss"] == nil)
        #expect(plain["data"]?["sampling"] == .string("random"))
    }

    /// What would be warned about is left out, and what was not said to be none stays so.
    @Test func defaultsWithoutEffectAreLeftOut() throws {
        let job = try Self.job(#""trainer": {"max_steps": 5}"#)
        let resolved = job.resolved(holdsConversations: false)
        #expect(
            resolved["optim"]?["sched"]
                == .object(["name": .string("constant"), "warmup_steps": .number(0)])
        )
        #expect(resolved["optim"]?["betas"] == .array([.number(0.9), .number(0.95)]))
        #expect(resolved["optim"]?["lr"] == .number(1e-5))
        for key in ["distillation", "lora", "start", "frozen"] {
            #expect(resolved[key] == nil, "\(key)")
        }
        let distilled = try Self.job(#""distillation": {}"#).resolved(holdsConversations: false)
        #expect(distilled["frozen"] == .array([.string("*embed_tokens*")]))
        #expect(resolved["trainer"]?["early_stopping"] == nil)
        #expect(resolved["trainer"]?["max_epochs"] == nil)
    }
}
