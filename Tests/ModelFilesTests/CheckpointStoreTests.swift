internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

struct CheckpointStoreTests {
    /// Not a cryptographic digest; enough to notice a flipped byte.
    private static func checksum(_ path: String) throws -> (bytes: [UInt8], byteCount: Int) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        let bytes = try Data(contentsOf: URL(filePath: path))
        for byte in bytes {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return (withUnsafeBytes(of: hash) { Array($0) }, bytes.count)
    }

    private static func engine(
        _ optimizer: OptimizerConfiguration = OptimizerConfiguration(),
        averageDecay: Double? = nil
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: try TinyModel.make().parameters,
            teacher: nil,
            settings: .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                objective: .crossEntropy,
                optimizer: optimizer,
                averageDecay: averageDecay,
                batchSize: 1,
                length: 8
            ),
            isFrozen: { $0.contains("embed") },
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
    }

    private static func save(_ store: CheckpointStore, _ engine: TrainingEngine) throws {
        let tokens = (0..<8).map { Int32($0 + 3) }
        _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
        try store.save(
            step: engine.stepCount,
            fingerprint: "run",
            parameters: engine.parameters,
            state: engine.state,
            values: ["baseline": 4.25]
        )
    }

    /// Runs three steps, stores them, and runs three more; another engine goes on from what is stored, and both
    /// end with the same bits.
    private static func goOn(
        _ whole: TrainingEngine,
        from store: CheckpointStore,
        by other: TrainingEngine,
        _ run: (TrainingEngine, Int) throws -> Void
    ) throws {
        try run(whole, 3)
        try store.save(
            step: 3,
            fingerprint: "run",
            parameters: whole.stored,
            state: whole.state
        )
        try run(whole, 3)
        let manifest = store.restoreNewest(
            fingerprint: "run",
            into: other.stored,
            state: other.state,
            onSkip: { Issue.record("\($0)") }
        )
        other.resume(atStep: try #require(manifest).step)
        try run(other, 3)
        let (expected, resumed) = (whole.parameters, other.parameters)
        withExtendedLifetime((expected, resumed)) {
            #expect(Array(expected.storage.elements) == Array(resumed.storage.elements))
        }
    }

    /// A run with adapters goes on from what they were added to, its scales included.
    @Test func adaptersGoOnBitForBit() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path + "/ck", digest: Self.checksum)
        let recipe = QuantizationRecipe(defaultFormat: .nvfp4)
        func engine() throws -> TrainingEngine {
            try TrainingEngine(
                parameters: try TinyModel.make().parameters,
                teacher: nil,
                settings: .init(
                    recipe: recipe,
                    batchSize: 1,
                    length: 8,
                    adapters: AdapterConfiguration(rank: 2, scale: 4, seed: 3)
                ),
                isFrozen: { _ in false },
                device: CPUDevice(team: ThreadTeam(threadCount: 2))
            )
        }
        func run(_ engine: TrainingEngine, _ steps: Int) throws {
            for _ in 0..<steps {
                let tokens = (0..<8).map { Int32(($0 + engine.stepCount * 3) % 11 + 3) }
                _ = try engine.step(tokens: tokens, learningRate: 1e-2, progress: 0)
            }
        }
        let whole = try engine()
        let team = ThreadTeam(threadCount: 1)
        #expect(try whole.stored.findScales(by: .mse, recipe: recipe, team: team) > 0)
        whole.resume(atStep: 0)
        let start = whole.stored.storage.elements.map(\.bitPattern)
        let other = try engine()
        try Self.goOn(whole, from: store, by: other, run)
        let (expected, resumed) = (whole.parameters, other.parameters)
        #expect(!resumed.fixedScales.isEmpty && resumed.fixedScales == expected.fixedScales)
        #expect(whole.stored.storage.elements.map(\.bitPattern) == start)
    }

    /// A run with learned scales that is killed and goes on ends with the same bits.
    @Test(arguments: [QuantizationFormat.mxfp4, .nvfp4])
    func learnedScalesGoOnBitForBit(format: QuantizationFormat) throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path + "/ck", digest: Self.checksum)
        let recipe = QuantizationRecipe(defaultFormat: format)
        func engine() throws -> TrainingEngine {
            try TrainingEngine(
                parameters: try TinyModel.make().parameters,
                teacher: nil,
                settings: .init(recipe: recipe, batchSize: 1, length: 8, learnsScales: true),
                isFrozen: { $0.contains("embed") },
                device: CPUDevice(team: ThreadTeam(threadCount: 2))
            )
        }
        func run(_ engine: TrainingEngine, _ steps: Int) throws {
            for _ in 0..<steps {
                let tokens = (0..<8).map { Int32(($0 + engine.stepCount * 3) % 11 + 3) }
                _ = try engine.step(
                    tokens: tokens,
                    learningRate: 1e-3,
                    progress: 0,
                    scaleLearningRate: 2e-2
                )
            }
        }
        let whole = try engine()
        let team = ThreadTeam(threadCount: 1)
        let found = try whole.parameters.findScales(by: .mse, recipe: recipe, team: team)
        #expect(found > 0)
        whole.resume(atStep: 0)
        let before = whole.parameters.fixedScales
        let other = try engine()
        try Self.goOn(whole, from: store, by: other, run)
        let (expected, resumed) = (whole.parameters, other.parameters)
        #expect(expected.fixedScales == resumed.fixedScales)
        #expect(expected.fixedScales != before)
        // A checkpoint without what is learned is not one of such a run.
        var reasons: [String] = []
        let plain = CheckpointStore(folder: folder.path + "/plain", digest: Self.checksum)
        try plain.save(
            step: 3,
            fingerprint: "run",
            parameters: whole.parameters,
            state: whole.state.filter { !$0.name.contains("scales.") }
        )
        let refused = plain.restoreNewest(
            fingerprint: "run",
            into: other.parameters,
            state: other.state,
            onSkip: { reasons.append($0) }
        )
        #expect(refused == nil && reasons.first?.contains("scales.") == true, "\(reasons)")
    }

    @Test func restoresBitForBit() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path + "/ck", digest: Self.checksum)
        let engine = try Self.engine()
        let scales = [
            "model.layers.0.mlp.up_proj.weight": BlockScales(blocks: [1, 0, 255], factors: [0.1]),
            "model.layers.1.mlp.up_proj.weight": BlockScales(blocks: [127], factors: []),
        ]
        for _ in 0..<3 {
            try Self.save(store, engine)
        }
        engine.parameters.fixedScales = scales
        try store.save(
            step: 3,
            fingerprint: "run",
            parameters: engine.parameters,
            state: engine.state,
            values: ["baseline": 4.25]
        )
        #expect(store.checkpointNames() == ["step-00000002", "step-00000003"])
        let other = try Self.engine()
        let manifest = store.restoreNewest(
            fingerprint: "run",
            into: other.parameters,
            state: other.state,
            onSkip: { _ in }
        )
        #expect(manifest?.step == 3)
        #expect(manifest?.values == ["baseline": 4.25])
        #expect(
            other.parameters.storage.elements.elementsEqual(engine.parameters.storage.elements)
        )
        #expect(other.parameters.fixedScales == scales)
        for (a, b) in zip(other.state, engine.state) {
            #expect(a.name == b.name && a.bytes.elementsEqual(b.bytes))
        }
    }

    /// Moments of bytes with their scales, of Lion one alone, and the weights' average.
    @Test(arguments: OptimizerConfiguration.Rule.allCases)
    func restoresAllThatIsKept(rule: OptimizerConfiguration.Rule) throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path, digest: Self.checksum)
        let optimizer = OptimizerConfiguration(rule, moments: .int8)
        let engine = try Self.engine(optimizer, averageDecay: 0.9)
        for _ in 0..<2 { try Self.save(store, engine) }
        let other = try Self.engine(optimizer, averageDecay: 0.9)
        let manifest = store.restoreNewest(
            fingerprint: "run",
            into: other.parameters,
            state: other.state,
            onSkip: { Issue.record("\($0)") }
        )
        #expect(manifest?.step == 2)
        for (a, b) in zip(other.state, engine.state) {
            #expect(a.name == b.name && a.bytes.elementsEqual(b.bytes))
        }
        #expect(engine.state.contains { $0.name.hasPrefix("ema.") })
        #expect(engine.state.contains { $0.name.hasSuffix(".scales") && $0.type == .float32 })
        withExtendedLifetime((engine, other)) {}
    }

    @Test(arguments: ["model.safetensors", "optimizer.safetensors", "manifest.json"])
    func passesOverDamage(file: String) throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path, digest: Self.checksum)
        let engine = try Self.engine()
        try Self.save(store, engine)
        try Self.save(store, engine)
        let path = "\(folder.path)/step-00000002/\(file)"
        for damage in ["flip", "truncate", "remove"] {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            var broken = bytes
            switch damage {
            case "flip": broken[broken.count / 2] ^= 0x10
            case "truncate": broken = broken.prefix(broken.count / 2)
            default: try FileManager.default.removeItem(atPath: path)
            }
            if damage != "remove" {
                try broken.write(to: URL(fileURLWithPath: path))
            }
            var skipped: [String] = []
            let manifest = store.restoreNewest(
                fingerprint: "run",
                into: engine.parameters,
                state: engine.state
            ) { skipped.append($0) }
            #expect(manifest?.step == 1, "\(damage)")
            #expect(skipped.count == 1 && skipped[0].contains("step-00000002"))
            try bytes.write(to: URL(fileURLWithPath: path))
        }
    }

    /// Seen: two damaged checkpoints of later steps were the two newest, and whatever a run wrote that
    /// had to begin below them was removed at once.
    @Test func whatCouldNotBeUsedBarsNothing() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path, digest: Self.checksum)
        for name in ["step-00000090", "step-00000100"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(name)",
                withIntermediateDirectories: true
            )
        }
        let engine = try Self.engine()
        try Self.save(store, engine)
        #expect(store.checkpointNames() == ["step-00000001"])
        try Self.save(store, engine)
        #expect(store.checkpointNames() == ["step-00000001", "step-00000002"])
    }

    @Test func ignoresOtherRunsAndHalfWrittenFolders() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path, digest: Self.checksum)
        let engine = try Self.engine()
        try Self.save(store, engine)
        try FileManager.default.createDirectory(
            atPath: folder.path + "/.tmp-step-00000009",
            withIntermediateDirectories: true
        )
        func restore(_ fingerprint: String) -> Int? {
            store.restoreNewest(
                fingerprint: fingerprint,
                into: engine.parameters,
                state: engine.state,
                onSkip: { _ in }
            )?.step
        }
        #expect(restore("another") == nil)
        #expect(restore("run") == 1)
    }
}
