internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import TrainService

/// A step on its way from the plan to the engines of all ranks: nothing in it changes places.
@Suite struct StepOrderTests {
    private static let order = StepOrder(
        learningRate: 0.001,
        progress: 0.6,
        stageStart: 1,
        scaleLearningRate: 0.02,
        clipLearningRate: 0.3
    )

    /// An engine in which each of a step's settings changes something: weights, their damping, the age of their
    /// moments, scales, thresholds.
    private static func engine() throws -> TrainingEngine {
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4, activations: .fp8PerTensor)
        let team = ThreadTeam(threadCount: 1)
        let parameters = try Parameters.random(
            configuration: ModelConfiguration(
                vocabularySize: 32,
                hiddenSize: 32,
                intermediateSize: 64,
                layerCount: 1,
                headCount: 2,
                keyValueHeadCount: 1
            ),
            seed: 1,
            deviation: 0.1
        )
        _ = try parameters.findScales(by: .max, recipe: recipe, team: team)
        let engine = try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(
                recipe: recipe,
                stageMoments: .reset,
                damping: 10,
                batchSize: 1,
                length: 16,
                learnsScales: true,
                inputScales: .learned
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: team)
        )
        let modules = parameters.layout.entries.map(\.module).filter { $0.hasSuffix("_proj") }
        try engine.clipInputs(
            at: InputRanges(amax: Dictionary(uniqueKeysWithValues: modules.map { ($0, 1.5) }))
        )
        return engine
    }

    private struct Trained: Equatable {
        let weights: [Float]
        let scales: [String: BlockScales]
        let ranges: InputRanges?
    }

    /// What two steps make, the second of which may begin a stage.
    private static func trained(
        _ step: (TrainingEngine, UnsafePointer<Int32>, _ number: Int) throws -> Void
    ) throws -> Trained {
        let engine = try engine()
        let tokens: [Int32] = (0..<16).map { Int32($0 * 7 % 32) }
        for number in 0..<2 {
            try tokens.withUnsafeBufferPointer {
                try step(engine, #require($0.baseAddress), number)
            }
        }
        return withExtendedLifetime(engine) {
            Trained(
                weights: Array(engine.parameters.storage.elements),
                scales: engine.parameters.fixedScales,
                ranges: engine.inputRanges
            )
        }
    }

    /// Against the engine told by name, and against orders that differ in one setting.
    @Test func theEngineTakesEachSettingForItself() throws {
        func trained(_ order: StepOrder) throws -> Trained {
            try Self.trained {
                var order = order
                order.stageStart = min(order.stageStart, $2)
                _ = try $0.step($1, order)
            }
        }
        let order = Self.order
        let found = try trained(order)
        let expected = try Self.trained {
            _ = try $0.step(
                tokens: $1,
                learningRate: 0.001,
                progress: 0.6,
                stageStart: $2,
                scaleLearningRate: 0.02,
                clipLearningRate: 0.3
            )
        }
        #expect(found == expected)
        let others: [(String, (inout StepOrder) -> Void)] = [
            ("rate", { $0.learningRate = 0.002 }), ("progress", { $0.progress = 0.1 }),
            ("stage", { $0.stageStart = 0 }), ("scales", { $0.scaleLearningRate = 0.04 }),
            ("thresholds", { $0.clipLearningRate = 0.6 }),
        ]
        for (name, change) in others {
            var other = order
            change(&other)
            #expect(try trained(other) != expected, "\(name)")
        }
    }

    /// Ranks that hear what one of them said.
    private final class Room: RankGroup, @unchecked Sendable {
        // One thread's.
        let rank: Int
        let count = 2
        var said: [UInt8]

        init(rank: Int, said: [UInt8] = []) {
            self.rank = rank
            self.said = said
        }

        func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {
            if rank == 0 { said = Array(bytes) } else { bytes.copyBytes(from: said) }
        }

        func begin(_ exchange: RankExchange) {}
        func advance(_ exchange: RankExchange) {}
        func finish(_ exchange: RankExchange) {}
        func share(_ exchange: RankExchange) {}
        func sum(_ values: UnsafeMutableBufferPointer<Double>) {}
        func collect(_ tensor: DeviceTensor, parts: [Range<Int>]) {}
        func spread(_ tensor: DeviceTensor, parts: [Range<Int>]) {}
    }

    @Test func otherRanksHearTheSameOrder() {
        let leader = Room(rank: 0)
        var told = RankOrder(kind: .step, byteCount: 17, step: Self.order)
        told.broadcast(leader)
        var heard = RankOrder(kind: .rest)
        heard.broadcast(Room(rank: 1, said: leader.said))
        #expect(heard.kind == .step && heard.byteCount == 17 && heard.step == Self.order)
    }
}
