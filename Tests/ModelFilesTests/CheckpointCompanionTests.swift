internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Earlier checkpoints that go with later ones.
struct CheckpointCompanionTests {
    private static func digest(_ path: String) throws -> (bytes: [UInt8], byteCount: Int) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        let bytes = try Data(contentsOf: URL(filePath: path))
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return (withUnsafeBytes(of: hash) { Array($0) }, bytes.count)
    }

    /// A run whose weights are known at every step.
    private final class Run {
        let folder: TemporaryFolder
        let store: CheckpointStore
        let engine: TrainingEngine
        private(set) var weights: [Int: [Float]] = [:]

        init() throws {
            folder = try TemporaryFolder()
            store = CheckpointStore(folder: folder.path, digest: digest)
            engine = try TrainingEngine(
                parameters: try TinyModel.make().parameters,
                teacher: nil,
                settings: .init(
                    recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                    averageDecay: 0.5,
                    batchSize: 1,
                    length: 8
                ),
                isFrozen: { $0.contains("embed") },
                device: CPUDevice(team: ThreadTeam(threadCount: 1))
            )
        }

        static func values(_ parameters: Parameters) -> [Float] {
            withExtendedLifetime(parameters) { Array(parameters.storage.elements) }
        }

        func step() throws {
            let tokens = (0..<8).map { Int32($0 + 3) }
            _ = try engine.step(tokens: tokens, learningRate: 1e-2, progress: 0)
            weights[engine.stepCount] = Self.values(engine.trained)
        }

        func save(_ companions: [CheckpointCompanion] = []) throws {
            try store.save(
                step: engine.stepCount,
                fingerprint: "run",
                parameters: engine.stored,
                state: engine.state,
                values: ["step": Double(engine.stepCount)],
                history: Data("\(engine.stepCount)".utf8),
                companions: try companions.map { try store.find($0, fingerprint: "run") }
            )
        }

        /// What is exported of a companion.
        func restored(_ companion: CheckpointCompanion) throws -> [Float] {
            try store.restore(
                try store.find(companion, fingerprint: "run"),
                into: engine.stored,
                state: engine.state
            )
            engine.show(step: companion.step)
            return Self.values(engine.trained)
        }

        func files() throws -> [String: Set<String>] {
            var found: [String: Set<String>] = [:]
            for name in store.checkpointNames() {
                found[name] = Set(
                    try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/\(name)")
                )
            }
            return found
        }
    }

    private static let own: Set = [
        "model.safetensors", "optimizer.safetensors", "history.jsonl", "manifest.json",
    ]

    /// The best stays, bit for bit, when its folder is pruned, and when all but the newest is gone.
    @Test func theBestOutlivesItsFolder() throws {
        let run = try Run()
        try run.step()
        try run.save()
        for _ in 2...4 {
            try run.step()
            try run.save([.init(.best, step: 1)])
        }
        let names = ["step-00000003", "step-00000004"]
        #expect(run.store.checkpointNames() == names)
        let all = Self.own.union(
            ["model.safetensors", "optimizer.safetensors", "manifest.json"].map { "best." + $0 }
        )
        #expect(try run.files() == [names[0]: all, names[1]: all])
        // Links, not copies: both are one file.
        let path = "\(run.folder.path)/\(names[1])/best.model.safetensors"
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.referenceCount] as? Int == 2)
        try FileManager.default.removeItem(atPath: "\(run.folder.path)/\(names[0])")
        let expected = try #require(run.weights[1])
        #expect(try run.restored(.init(.best, step: 1)) == expected)
        #expect(expected != run.weights[4])
    }

    /// What is gone back to comes with what it had: values, history, and the best at that time.
    @Test func aRunGoesBackToWhatWentWithIt() throws {
        let run = try Run()
        try run.step()
        try run.save()
        try run.step()
        try run.save([.init(.best, step: 1)])
        try run.step()
        try run.save([.init(.anchor, step: 2)])
        // Another machine has the newest alone.
        for name in ["step-00000001", "step-00000002"] {
            try? FileManager.default.removeItem(atPath: "\(run.folder.path)/\(name)")
        }
        try run.store.goBack(to: 2, fingerprint: "run")
        #expect(run.store.checkpointNames() == ["step-00000002"])
        let manifest = try #require(
            run.store.restoreNewest(
                fingerprint: "run",
                into: run.engine.stored,
                state: run.engine.state,
                onSkip: { Issue.record("\($0)") }
            )
        )
        run.engine.resume(atStep: manifest.step)
        #expect(manifest.step == 2 && manifest.values == ["step": 2])
        #expect(
            try run.store.history(of: manifest).map { String(decoding: $0, as: UTF8.self) } == "2"
        )
        #expect(Run.values(run.engine.trained) == run.weights[2])
        #expect(try run.restored(.init(.best, step: 1)) == run.weights[1])
    }

    @Test func beforeTheFirstCheckpointIsTheStart() throws {
        let run = try Run()
        try run.step()
        try run.save()
        try run.store.goBack(to: 0, fingerprint: "run")
        #expect(run.store.checkpointNames().isEmpty)
    }

    /// What becomes of a file, here under one of its names alone.
    private static func damage(_ path: String) throws {
        try FileManager.default.removeItem(atPath: path)
        try Data("damaged".utf8).write(to: URL(filePath: path))
    }

    /// Seen: one bit in the best checkpoint made every later one worthless, which had it linked.
    ///
    /// A run began at step 0 with whole weights beside it. Nothing that is not there is gone back to.
    @Test(
        arguments: [
            ("best.model.safetensors", CheckpointCompanion.Role.best),
            ("best.manifest.json", .best), ("anchor.history.jsonl", .anchor),
        ]
    )
    func aDamagedCompanionCostsItselfAlone(file: String, role: CheckpointCompanion.Role) throws {
        let run = try Run()
        try run.step()
        try run.save()
        try run.step()
        try run.save([.init(.best, step: 1), .init(.anchor, step: 1)])
        let newest = "\(run.folder.path)/step-00000002"
        try FileManager.default.removeItem(atPath: "\(run.folder.path)/step-00000001")
        try Self.damage("\(newest)/\(file)")
        let manifest = run.store.restoreNewest(
            fingerprint: "run",
            into: run.engine.stored,
            state: run.engine.state,
            onSkip: { Issue.record("\($0)") }
        )
        #expect(manifest?.step == 2)
        run.engine.resume(atStep: 2)
        #expect(Run.values(run.engine.trained) == run.weights[2])
        let error = #expect(throws: ModelFileError.self) {
            _ = try run.store.find(.init(role, step: 1), fingerprint: "run")
        }
        #expect(error?.message.contains(file) == true, "\(String(describing: error))")
        for other in [CheckpointCompanion.Role.best, .anchor] where other != role {
            _ = try run.store.find(.init(other, step: 1), fingerprint: "run")
            // The next one goes without it.
            try run.step()
            try run.save([.init(other, step: 1)])
        }
        #expect(throws: ModelFileError.self) {
            try run.store.goBack(to: 7, fingerprint: "run")
        }
        #expect(run.store.steps() == [2, 3])
    }

    /// A copy of it in another checkpoint, as of one that was fetched, serves.
    @Test func aWholeCopyIsFoundBehindADamagedOne() throws {
        let run = try Run()
        try run.step()
        try run.save()
        for _ in 2...3 {
            try run.step()
            try run.save([.init(.best, step: 1)])
        }
        try Self.damage("\(run.folder.path)/step-00000003/best.model.safetensors")
        try run.step()
        try run.save([.init(.best, step: 1)])
        #expect(run.store.steps() == [3, 4])
        #expect(try run.restored(.init(.best, step: 1)) == run.weights[1])
    }

    /// What is gone back to leaves behind what went with it and is damaged.
    @Test func aRunGoesBackWithoutADamagedBest() throws {
        let run = try Run()
        try run.step()
        try run.save()
        try run.step()
        try run.save([.init(.best, step: 1)])
        for step in [1, 2] {
            let name = step == 1 ? "step-00000001/" : "step-00000002/best."
            try Self.damage("\(run.folder.path)/\(name)model.safetensors")
        }
        try run.step()
        try run.save([.init(.anchor, step: 2)])
        try FileManager.default.removeItem(atPath: "\(run.folder.path)/step-00000002")
        try run.store.goBack(to: 2, fingerprint: "run")
        let manifest = run.store.restoreNewest(
            fingerprint: "run",
            into: run.engine.stored,
            state: run.engine.state,
            onSkip: { Issue.record("\($0)") }
        )
        #expect(manifest?.step == 2)
        #expect(throws: ModelFileError.self) {
            _ = try run.store.find(.init(.best, step: 1), fingerprint: "run")
        }
    }

    /// Seen: a perplexity that overflows ended the job at its first checkpoint, with the encoder's words.
    @Test func numbersThatAreNotFiniteStandInCheckpoints() throws {
        let run = try Run()
        try run.step()
        let values = ["high": Double.infinity, "low": -.infinity, "mean": 2.5, "none": .nan]
        try run.store.save(
            step: 1,
            fingerprint: "run",
            parameters: run.engine.stored,
            state: run.engine.state,
            values: values
        )
        let manifest = run.store.restoreNewest(
            fingerprint: "run",
            into: run.engine.stored,
            state: run.engine.state,
            onSkip: { Issue.record("\($0)") }
        )
        let found = try #require(manifest?.values)
        #expect(found.count == 4 && found["none"]?.isNaN == true)
        for key in ["high", "low", "mean"] { #expect(found[key] == values[key]) }
    }
}
