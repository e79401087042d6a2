internal import Formats
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ServiceKit
internal import Testing
internal import Transformer

@testable internal import TrainService
@testable internal import qat_client

/// A training job's settings against the length of its text.
@Suite struct TrainingPlanTests {
    private static func request(_ members: String, kind: String = "train") -> ComputeRequest {
        ComputeRequest(
            jobID: "j",
            kind: kind,
            attempt: 1,
            spec: """
                {"model": "m", "quantization": {"algorithm": "mxfp4"}, \(members)
                 "data": {"train": ["t.txt"], "validation": ["v.txt"], "seq_length": 64}}
                """,
            inputs: ["/data/train/0": "/inputs/t.txt"],
            outputFolder: "/out",
            checkpointFolder: "/checkpoints",
            threads: 1
        )
    }

    private static func plan(_ members: String, tokens: Int) throws -> TrainingPlan {
        let request = request(members)
        let (spec, warnings) = try TrainingPlan.specification(request)
        return TrainingPlan(
            spec,
            warnings: warnings,
            specText: request.spec,
            trainTokenCount: tokens
        )
    }

    /// 1000 tokens hold 15 windows of 64: three steps of two batches of two.
    @Test func epochsAreWindowsEndToEnd() throws {
        let trainer = """
            "trainer": {"max_epochs": 2, "micro_batch_size": 2, "accumulate_grad_batches": 2,
                        "val_check_interval": 0.34, "limit_val_batches": 0.5},
            """
        let plan = try Self.plan(trainer, tokens: 1000)
        #expect(plan.totalSteps == 6)
        #expect(plan.schedule.totalSteps == 6)
        // A third of an epoch of three steps; half of the validation's windows, however many an epoch has.
        #expect(plan.validationInterval == 1)
        #expect(plan.validationWindows(of: 300) == 150)
        #expect(plan.validationWindows(of: 1) == 1)
        let all = try Self.plan(trainer.replacing("0.5", with: "1.0"), tokens: 1000)
        #expect(all.validationWindows(of: 300) == 300)
        let some = try Self.plan(trainer.replacing("0.5", with: "40"), tokens: 1000)
        #expect(some.validationWindows(of: 300) == 40 && some.validationWindows(of: 7) == 7)
        let steps = trainer.replacing("\"max_epochs\"", with: "\"max_steps\": 4, \"max_epochs\"")
        #expect(try Self.plan(steps, tokens: 1000).totalSteps == 4)
    }

    /// What is told before the text is there: only where it cannot change the number of steps.
    @Test func theStepsAreKnownBeforeTheTextIfItCannotEndThem() throws {
        func count(_ trainer: String) throws -> Int? {
            let request = Self.request(#""trainer": {\#(trainer)},"#)
            return try TrainingPlan.specification(request).0.trainer.stepCount
        }
        #expect(try count(#""max_steps": 600"#) == 600)
        #expect(try count(#""max_steps": 600, "max_epochs": 2"#) == nil)
        #expect(try count(#""max_epochs": 2"#) == nil)
    }

    @Test func theNewestCheckpointIsHowFarAnAttemptCame() throws {
        let home = try TemporaryHome()
        #expect(TrainingPlan.reachedStep(in: home.home.path + "/none") == 0)
        for name in ["step-00000040/manifest.json", "step-00000360/manifest.json", "step-x/y"] {
            try home.write("c/" + name, "x")
        }
        try home.write("c/generated-text", "x")
        #expect(TrainingPlan.reachedStep(in: home.home.path + "/c") == 360)
    }

    @Test func aTextShorterThanABatchIsOneStepAnEpoch() throws {
        let plan = try Self.plan(
            #""trainer": {"max_epochs": 3, "micro_batch_size": 8},"#,
            tokens: 100
        )
        #expect(plan.totalSteps == 3 && plan.validationInterval == 1)
        #expect(plan.validationWindows(of: .max) == .max)
    }

    @Test func stepsBeyondAllNumbersAreTheLargest() throws {
        let epochs = #""trainer": {"max_epochs": 1000000, "max_steps": 12},"#
        #expect(try Self.plan(epochs, tokens: .max).totalSteps == 12)
        let endless = #""trainer": {"max_epochs": 1000000, "micro_batch_size": 1},"#
        #expect(try Self.plan(endless, tokens: .max).totalSteps == .max)
    }

    @Test func objectiveAndOptimizerAreTheJobs() throws {
        let plain = try Self.plan(#""optim": {"lr": 3e-4, "betas": [0.8, 0.99]},"#, tokens: 1000)
        #expect(plain.objective == .crossEntropy && !plain.isDistilling)
        #expect(plain.optimizer.beta1 == 0.8 && plain.optimizer.beta2 == 0.99)
        #expect(plain.schedule.peak == 3e-4)
        let distilled = try Self.plan(
            """
            "distillation": {"teacher": "model", "loss": "kl", "temperature": 2},
            "trainer": {"gradient_clip_val": 0},
            """,
            tokens: 1000
        )
        #expect(
            distilled.objective == .distillation(.init(temperature: 2)) && distilled.isDistilling
        )
        #expect(distilled.optimizer.gradientClipNorm == 0)
        let mixed = try Self.plan(
            """
            "distillation": {"loss": "js", "beta": 0.3, "cross_entropy": 0.25, "hidden": 2},
            """,
            tokens: 1000
        )
        let expected = Distillation(
            divergence: .jensenShannon(beta: 0.3),
            crossEntropyWeight: 0.25,
            hiddenWeight: 2
        )
        #expect(mixed.objective == .distillation(expected))
        #expect(mixed.teacherCache == nil && mixed.sampling == .random)
    }

    /// A warm-up ends with the run, and says so where only the text decided on its end.
    @Test func warmUpsAsLongAsTheRunAreWarnedAbout() throws {
        let sched = #""optim": {"sched": {"name": "CosineAnnealing", "warmup_steps": 50}},"#
        let long = try Self.plan(sched + #""trainer": {"max_epochs": 1},"#, tokens: 1000)
        #expect(long.schedule.warmupSteps == long.totalSteps)
        #expect(long.warnings.contains { $0.contains("warmup_steps: 50 is not below the") })
        let short = try Self.plan(sched + #""trainer": {"max_epochs": 90},"#, tokens: 1000)
        #expect(short.schedule.warmupSteps == 50)
        #expect(!short.warnings.contains { $0.contains("warmup_steps") })
    }

    /// 1000 tokens are 15 windows of 64: what is kept is found again once they are all seen.
    @Test func aCacheThatNothingIsFoundInAgainIsWarnedAbout() throws {
        func plan(steps: Int) throws -> TrainingPlan {
            let request = Self.request(
                """
                "distillation": {"teacher_cache": {"top_k": 8}}, "trainer": {"max_steps": \(steps),
                 "max_epochs": 9},
                """
            )
            var other = request
            other.spec = request.spec.replacing(
                #""seq_length": 64"#,
                with: #""seq_length": 64, "sampling": "epoch""#
            )
            let (spec, warnings) = try TrainingPlan.specification(other)
            return TrainingPlan(
                spec,
                warnings: warnings,
                specText: other.spec,
                trainTokenCount: 1000
            )
        }
        let short = try plan(steps: 14)
        #expect(short.teacherCache?.windows == 14 && short.warnings.count == 1)
        #expect(short.warnings.first?.contains("14 steps see 14 of 15 windows, each once") == true)
        let long = try plan(steps: 30)
        #expect(long.teacherCache?.windows == 15 && long.sampling == .epoch)
        #expect(long.warnings.isEmpty)
    }

    @Test func checkpointsBelongToTheirSpecification() throws {
        let one = try Self.plan(#""seed": 1,"#, tokens: 1000)
        #expect(one.seed == 1 && one.fingerprint.count == 64)
        #expect(try Self.plan(#""seed": 1,"#, tokens: 1000).fingerprint == one.fingerprint)
        #expect(try Self.plan(#""seed": 2,"#, tokens: 1000).fingerprint != one.fingerprint)
    }

    @Test func frozenParametersAreThoseOfThePatterns() throws {
        let plan = try Self.plan(#""frozen": ["*embed_tokens*", "re:.*norm.*"],"#, tokens: 1000)
        #expect(plan.isFrozen("model.embed_tokens.weight") && plan.isFrozen("model.norm.weight"))
        #expect(!plan.isFrozen("model.layers.0.mlp.up_proj.weight"))
    }

    @Test func otherJobsAndFeaturesAreRefused() throws {
        let other = #expect(throws: ComputeFailure.self) {
            try TrainingPlan.specification(Self.request("", kind: "evaluate"))
        }
        #expect(other?.reason == .invalidSpec)
        let masked = Self.request("").spec
            .replacing(#""train": ["#, with: #""splits_string": "9,1,0", "train": ["#)
        var request = Self.request("")
        request.spec = masked
        let refused = #expect(throws: ComputeFailure.self) {
            try TrainingPlan.specification(request)
        }
        #expect(refused?.reason == .invalidSpec)
        #expect(refused?.message.contains("splits_string") == true)
        #expect(try TrainingPlan.paths(["t.txt"], "/data/train", request) == ["/inputs/t.txt"])
        let missing = #expect(throws: ComputeFailure.self) {
            try TrainingPlan.paths(["v.txt"], "/data/validation", request)
        }
        #expect(missing?.message.contains("/data/validation/0") == true)
    }
}
