internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Protocol
internal import Testing
internal import Transformer

@testable internal import qat_client

/// docs/JOBS.md, What waits for machines: a training that no worker can hold is refused before it is sent.
///
/// Seen: it was leased twice, and failed, behind a night's queue.
@Suite struct MemoryComparisonTests {
    private let folder: TemporaryHome
    private let file: String

    init() throws {
        folder = try TemporaryHome()
        try TinyModelFolder().write(to: folder.home.path + "/m")
        try folder.write("t.txt", String(repeating: "words ", count: 40))
        file = try folder.write(
            "job.json",
            #"{"model": "m", "quantization": {"algorithm": "mxfp4"}, "trainer": {"max_steps": 1}, "#
                + #""data": {"train": ["t.txt"], "seq_length": 32}}"#
        )
    }

    private func training() throws -> MemoryComparison.Training {
        let plan = try SubmissionPlan(kind: "train", file: file, name: nil)
        let preview = try #require(try RecipePreview(plan.spec, inputs: plan.inputs))
        return .init(name: "the training", plan: try #require(preview.memory))
    }

    /// What workers without GPUs have says nothing of a training on eight.
    @Test func whatWaitsForOtherMachinesIsNotCompared() throws {
        let plan = try training().plan
        for (trainer, isCompared) in [
            (#""max_steps": 1"#, true), (#""max_steps": 1, "accelerator": "gpu""#, false),
            (#""max_steps": 1, "devices": 8"#, false),
        ] {
            let text =
                #"{"model": "m", "quantization": {"algorithm": "mxfp4"}, "trainer": {\#(trainer)}, "#
                + #""data": {"train": ["t.txt"]}}"#
            let spec = try JobSpec.parse(kind: "train", json: Array(text.utf8))
            let training = MemoryComparison.Training(name: "the training", of: spec, plan)
            #expect((training != nil) == isCompared, "\(trainer)")
        }
    }

    private static func worker(_ name: String, _ memory: Int, role: String = "train") -> ServiceInfo
    {
        var service = ServiceInfo(role: role, instance: name)
        service.memoryBytes = UInt64(memory)
        return service
    }

    @Test func whatFitsTheLargestWorkerPasses() throws {
        let training = try training()
        let size = training.plan.byteCount
        let some = [
            Self.worker("train-1", 1), Self.worker("train-2", size),
            Self.worker("quant-1", 0, role: "quant"),
        ]
        #expect(try #require(MemoryComparison(some)).fault(of: training) == nil)
        let less = [
            Self.worker("train-1", 1), Self.worker("train-2", size - 1),
            Self.worker("quant-1", 2 * size, role: "quant"),
        ]
        let fault = try #require(MemoryComparison(less)?.fault(of: training))
        #expect(fault.hasPrefix("the training takes \(training.plan.sentence); "))
        #expect(fault.contains("the largest of the 2 workers that train, train-2, has "))
        #expect(fault.contains(Quantities.bytes(UInt64(size - 1))), "\(fault)")
        #expect(fault.contains("lower micro_batch_size"), "\(fault)")
        let one = try #require(MemoryComparison([Self.worker("train-1", 1)]))
        let alone = one.fault(of: training)
        #expect(alone?.contains("the only worker that trains, train-1, has 1 B") == true)
    }

    /// Nobody trains; one is of a version that does not say; more workers than a list has.
    @Test func whatIsNotKnownRefusesNothing() {
        #expect(MemoryComparison([]) == nil)
        #expect(MemoryComparison([Self.worker("quant-1", 1, role: "quant")]) == nil)
        #expect(MemoryComparison([Self.worker("train-1", 1), Self.worker("train-2", 0)]) == nil)
        let many = (0..<128).map { Self.worker("train-\($0)", 1) }
        #expect(MemoryComparison(many) == nil && MemoryComparison(Array(many.dropLast())) != nil)
    }

    @Test func withoutAGatewayTheMachineIsNamed() throws {
        let training = try training()
        let size = UInt64(training.plan.byteCount)
        #expect(MemoryComparison.remark(on: training, machine: size) == nil)
        let remark = MemoryComparison.remark(on: training, machine: size - 1)
        #expect(remark?.contains("this machine has \(Quantities.bytes(size - 1))") == true)
    }

    /// As a submission and a dry run of a pipeline ask.
    @Test func thePartsOfAPipelineAreNamed() throws {
        let job = try String(contentsOfFile: file, encoding: .utf8)
        let path = try folder.write("p.json", #"{"jobs": {"a": \#(job), "b": \#(job)}}"#)
        let plan = try PipelinePlan(try JobFile(path, kind: nil), name: nil)
        #expect(plan.trainings.map(\.name) == ["the training a", "the training b"])
    }
}
