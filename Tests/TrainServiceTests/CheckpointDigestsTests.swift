internal import Foundation
internal import Testing

@testable internal import ServiceKit

/// What a worker sends of a checkpoint is what its own manifest says.
@Suite struct CheckpointDigestsTests {
    /// Seen: the gateway's whole copy of a best checkpoint was replaced by one that had been damaged here.
    @Test func aDamagedFileIsNamed() throws {
        let child = try TrainingChild()
        _ = try child.run(
            "job",
            """
            "trainer": {"max_steps": 3, "micro_batch_size": 1, "limit_val_batches": 1,
                        "checkpoint_every_steps": 2}
            """
        )
        let folder = "\(child.folder)/job/checkpoints-0/step-00000003"
        func damaged() throws -> String? {
            CheckpointDigests.damaged(try OutputPublisher.inventory(folder), in: folder)
        }
        #expect(try damaged() == nil)
        let path = "\(folder)/optimizer.safetensors"
        let whole = try Data(contentsOf: URL(filePath: path))
        var bytes = whole
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(filePath: path))
        #expect(try damaged() == "optimizer.safetensors")
        try FileManager.default.removeItem(atPath: path)
        #expect(try damaged() == "optimizer.safetensors")
        try whole.write(to: URL(filePath: path))
        #expect(try damaged() == nil)
        try Data("{}".utf8).write(to: URL(filePath: "\(folder)/manifest.json"))
        #expect(try damaged() == "manifest.json")
        // What is no checkpoint of a training's says nothing of itself.
        try FileManager.default.removeItem(atPath: "\(folder)/manifest.json")
        #expect(try damaged() == nil)
    }
}
