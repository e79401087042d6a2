internal import Testing

@testable internal import JobSpecs

/// How many steps a training takes: the one rule that the training, the check of its inputs and the size of what it
/// keeps go by.
@Suite struct RunLengthTests {
    private static func spec(_ trainer: String) throws -> TrainSpec {
        let json = """
            {"model": "m", "quantization": {"algorithm": "mxfp4"}, "trainer": {\(trainer)},
             "data": {"train": ["t"], "validation": ["v"], "seq_length": 64}}
            """
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(json.utf8))
        else {
            throw JobSpecError(.invalidSpec, "not a training job")
        }
        return spec
    }

    /// 1000 tokens hold 15 windows of 64; by hand, windows a step, steps an epoch, steps.
    @Test(
        arguments: [
            (#""max_epochs": 2, "micro_batch_size": 2, "accumulate_grad_batches": 2"#, 4, 3, 6),
            (#""max_epochs": 2, "micro_batch_size": 4, "max_steps": 5"#, 4, 3, 5),
            (#""max_epochs": 2, "micro_batch_size": 4, "max_steps": 7"#, 4, 3, 6),
            (#""max_steps": 40"#, 1, 15, 40),
            // What is left of an epoch is in no step of it; an epoch has one at least.
            (#""max_epochs": 3, "micro_batch_size": 7"#, 7, 2, 6),
            (#""max_epochs": 3, "micro_batch_size": 16"#, 16, 1, 3),
            // All devices of all nodes.
            (#""max_epochs": 1, "devices": 2, "num_nodes": 3"#, 6, 2, 2),
        ] as [(String, Int, Int, Int)]
    )
    func stepsAreWholeOnes(trainer: String, perStep: Int, perEpoch: Int, steps: Int) throws {
        let length = try Self.spec(trainer).runLength(tokenCount: 1000)
        #expect(length.windowsPerStep == perStep && length.windowsPerEpoch == 15)
        #expect(length.stepsPerEpoch == perEpoch && length.steps == steps)
        #expect(length.windows == steps * perStep)
    }

    @Test func nothingBeyondAllNumbers() throws {
        let endless = try Self.spec(#""max_epochs": 1000000"#).runLength(tokenCount: .max)
        #expect(endless.steps == .max && endless.windows == .max)
        let short = try Self.spec(#""max_epochs": 9"#).runLength(tokenCount: 3)
        #expect(short.windowsPerEpoch == 1 && short.steps == 9)
    }

    @Test func aTextThatIsNotKnownEndsNothing() throws {
        let steps = try Self.spec(#""max_steps": 12, "micro_batch_size": 2"#)
        #expect(steps.runLength(tokenCount: nil).windows == 24 && steps.trainer.stepCount == 12)
        let both = try Self.spec(#""max_steps": 12, "max_epochs": 1"#)
        #expect(both.runLength(tokenCount: nil).steps == 12 && both.trainer.stepCount == nil)
        let epochs = try Self.spec(#""max_epochs": 1"#)
        #expect(epochs.runLength(tokenCount: nil).steps == .max)
        #expect(epochs.runLength(tokenCount: nil).windowsPerEpoch == nil)
    }
}
