internal import JobSpecs
internal import Kernels
internal import ServiceKit
internal import Testing
internal import Transformer

@testable internal import TrainService

/// What a job says of its run, resolved against a text's length: the rules of run control, and what the engine is told.
@Suite struct RunControlPlanTests {
    /// A text of 1000 tokens holds 15 windows of 64: 15 steps an epoch.
    private static func plan(
        _ members: String,
        quantization: String = #""algorithm": "mxfp4""#
    ) throws -> TrainingPlan {
        let request = ComputeRequest(
            jobID: "j",
            kind: "train",
            attempt: 1,
            spec: """
                {"model": "m", "quantization": {\(quantization)}, \(members),
                 "data": {"train": ["t.txt"], "validation": ["v.txt"], "seq_length": 64}}
                """,
            inputs: [:],
            outputFolder: "/out",
            checkpointFolder: "/checkpoints",
            threads: 1
        )
        let (spec, warnings) = try TrainingPlan.specification(request)
        return TrainingPlan(
            spec,
            warnings: warnings,
            specText: request.spec,
            trainTokenCount: 1000
        )
    }

    @Test func rulesAreTheJobs() throws {
        let usual = try Self.plan(#""trainer": {"max_epochs": 2}"#).control
        #expect(usual.totalSteps == 30 && usual.validationInterval == 15)
        #expect(usual.checkpointInterval == 50 && !usual.judgesValidations)
        #expect(usual.divergence == .init(lossFactor: 2, patience: 10))
        let judged = try Self.plan(
            """
            "trainer": {"max_epochs": 20, "val_check_interval": 0.2, "checkpoint_every_steps": 7,
                        "early_stopping": {"patience": 2, "min_delta": 0.5, "stopping_threshold": 1},
                        "divergence_guard": {"enabled": false}}
            """
        ).control
        #expect(judged.validationInterval == 3 && judged.checkpointInterval == 7)
        #expect(judged.earlyStopping == .init(patience: 2, minimumDelta: 0.5, threshold: 1))
        #expect(judged.keepsBest && judged.divergence == nil)
    }

    /// What only the text's length shows is warned about by the worker, and once what the file shows.
    @Test func tooFewValidationsAreWarnedAbout() throws {
        func warnings(_ members: String) throws -> [String] { try Self.plan(members).warnings }
        // Four validations, one an epoch; the last is the last step's.
        let few = try warnings(#""trainer": {"max_epochs": 4, "early_stopping": {}}"#)
        #expect(few.count == 1)
        #expect(few.first?.contains("the run's 60 steps have 4 validations, too few") == true)
        #expect(try warnings(#""trainer": {"max_epochs": 5, "early_stopping": {}}"#).isEmpty)
        let one = try warnings(#""trainer": {"max_epochs": 1}, "export_from": "best""#)
        #expect(one.count == 1 && one[0].contains("have one validation"), "\(one)")
        let said = try warnings(
            #""trainer": {"max_steps": 9, "val_check_interval": 9}, "export_from": "best""#
        )
        #expect(said.count == 1, "\(said)")
    }

    // MARK: What the engine is told

    /// Warm-up, cosine and the constant end are the job's, and so is the rate (1000 tokens are 15 steps).
    @Test func schedulesAreTheJobs() throws {
        let plan = try Self.plan(
            """
            "optim": {"lr": 0.5, "sched": {"name": "CosineAnnealing", "warmup_steps": 2,
                                           "constant_steps": 4, "min_lr": 0.125}}
            """
        )
        #expect(
            plan.schedule
                == LearningRateSchedule(
                    peak: 0.5,
                    minimum: 0.125,
                    warmupSteps: 2,
                    constantSteps: 4,
                    totalSteps: 15
                )
        )
    }

    @Test func productsAreOfThePrecision() throws {
        #expect(try Self.plan(#""trainer": {"precision": "32"}"#).operands == .float32)
        let mixed = try Self.plan(#""trainer": {"precision": "bf16-mixed"}"#)
        #expect(mixed.operands == .bfloat16)
        #expect(mixed.warnings.contains { $0.contains("FP32") } == !mixed.operands.isSupported)
    }

    /// By hand, at the third step of a warm-up of ten: 0.3 of each peak; after going back half of that.
    @Test(arguments: [1, 0.5])
    func allThatIsLearnedTakesTheRatesCourse(factor: Double) throws {
        let plan = try Self.plan(
            """
            "trainer": {"max_steps": 40, "max_epochs": 9},
            "optim": {"lr": 0.5, "sched": {"name": "CosineAnnealing", "warmup_steps": 10, "min_lr": 0.01}}
            """,
            quantization: """
                "algorithm": "nvfp4", "method": "mse", "scales": "learned", "scale_lr": 0.25,
                "activations": "nvfp4", "activation_scales": "learned", "clip_lr": 0.125
                """
        )
        let order = plan.order(ofStep: 2, rateFactor: factor)
        #expect(abs(order.learningRate - 0.15 * factor) < 1e-12)
        #expect(abs(order.scaleLearningRate - 0.075 * factor) < 1e-12)
        #expect(abs(order.clipLearningRate - 0.0375 * factor) < 1e-12)
        #expect(order.progress == 0.05 && order.stageStart == 0)
        let none = try Self.plan(#""optim": {"lr": 0.5}"#).order(ofStep: 2, rateFactor: factor)
        #expect(none.scaleLearningRate == 0)
    }

    @Test func stagesBeginWhereTheJobSays() throws {
        let stages = """
            "algorithm": "mxfp4", "schedule": {"stages": [{"until": 0.5, "algorithm": "mxfp8"},
                                                          {"until": 1.0, "algorithm": "mxfp4"}]}
            """
        let plan = try Self.plan(
            #""trainer": {"max_steps": 40, "max_epochs": 9}"#,
            quantization: stages
        )
        #expect(plan.order(ofStep: 19, rateFactor: 1).stageStart == 0)
        #expect(plan.order(ofStep: 20, rateFactor: 1).stageStart == 20)
        #expect(plan.order(ofStep: 30, rateFactor: 1).progress == 0.75)
    }

    // MARK: What is measured

    /// Every fourth step and the last; of several formats each takes one of the steps up to there.
    @Test func stepsAreMeasuredInEachFormat() throws {
        func measured(_ formats: String, every: Int) throws -> [Int] {
            let plan = try Self.plan(
                #""trainer": {"max_steps": 14, "max_epochs": 9, "log_every_n_steps": \#(every)}"#,
                quantization: formats
            )
            return (1...14).filter(plan.isMeasured)
        }
        #expect(try measured(#""algorithm": "mxfp4""#, every: 4) == [4, 8, 12, 14])
        let two = #""formats": ["mxfp8", "mxfp4"]"#
        #expect(try measured(two, every: 4) == [3, 4, 7, 8, 11, 12, 13, 14])
        // The steps' formats, in turn.
        let plan = try Self.plan(#""seed": 1"#, quantization: two)
        #expect(
            [2, 3].map { plan.formatName(ofTurn: plan.turn(ofStep: $0)) } == ["mxfp8", "mxfp4"]
        )
        let three = #""formats": ["mxfp8", "mxfp6_e2m3", "mxfp4"]"#
        #expect(try measured(three, every: 6) == [4, 5, 6, 10, 11, 12, 13, 14])
        #expect(try measured(three, every: 2) == Array(1...14))
        #expect(try measured(three, every: 1_000_000) == [12, 13, 14])
    }
}
