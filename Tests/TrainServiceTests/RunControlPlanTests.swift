internal import JobSpecs
internal import ServiceKit
internal import Testing

@testable internal import TrainService

/// The rules of run control, resolved against a text's length.
@Suite struct RunControlPlanTests {
    /// A text of 1000 tokens holds 15 windows of 64: 15 steps an epoch.
    private static func plan(_ members: String) throws -> TrainingPlan {
        let request = ComputeRequest(
            jobID: "j",
            kind: "train",
            attempt: 1,
            spec: """
                {"model": "m", "quantization": {"algorithm": "mxfp4"}, \(members),
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
}
