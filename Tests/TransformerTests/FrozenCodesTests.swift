internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Devices
@testable internal import Transformer

/// Weights that flip between two codes and are frozen.
struct FrozenCodesTests {
    private struct Fixture: Decodable {
        struct Run: Decodable {
            let scales: [Float]
            let start: [Float]
            let changes: [[Float]]
            let weights: [Float]
            let frozen: [Int]
        }

        let momentum: Float
        let threshold: Float
        let mxfp4: Run
        let mxint8: Run

        init() throws {
            let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
            let json = try Data(contentsOf: folder.appending(path: "flips.json"))
            self = try JSONDecoder().decode(Fixture.self, from: json)
        }
    }

    /// Against `Fixtures/make_flip_fixtures.py`, which goes by codes: which weights are frozen, when, and to
    /// what.
    @Test(arguments: [QuantizationFormat.mxfp4, .mxint8])
    func weightsAreFrozenByTheDefinition(format: QuantizationFormat) throws {
        let fixture = try Fixture()
        let run = format == .mxfp4 ? fixture.mxfp4 : fixture.mxint8
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let count = run.start.count
        func tensor() -> DeviceTensor { device.tensor(rows: 2, columns: count / 2) }
        let (weight, rounded, change) = (tensor(), tensor(), tensor())
        let tensors = FlipTensors(
            weight: weight,
            rounded: rounded,
            previous: tensor(),
            mean: tensor(),
            frequency: tensor(),
            state: device.tensor(rows: 2, columns: count / 2, type: .uint8)
        )
        let blocks = device.tensor(columns: 2, type: .uint8)
        // A power of two's exponent, biased by 127.
        device.upload(run.scales.map { UInt8(127 + Int($0.exponent)) }, to: blocks)
        let factors = device.tensor(columns: 1)
        device.upload([1 as Float], to: factors)
        let rounding = Rounding(
            format,
            scale: .stored(.init(blocks: blocks, factors: factors))
        )
        device.upload(run.start, to: weight)
        var values = run.start
        var frozen = [Int](repeating: -1, count: count)
        for (step, changes) in run.changes.enumerated() {
            device.upload(changes, to: change)
            device.add(change, to: weight)
            device.fakeQuantize(weight, rounding, into: rounded)
            device.trackFlips(
                tensors,
                rule: FlipRule(momentum: fixture.momentum, threshold: fixture.threshold)
            )
            device.fakeQuantize(weight, rounding, into: rounded)
            device.freezeFlips(tensors)
            device.download(weight, into: &values)
            for index in 0..<count
            where frozen[index] < 0 && tensors.state.bytes[index] == FlipRule.frozenState {
                frozen[index] = step
            }
        }
        #expect(frozen == run.frozen)
        for index in 0..<count {
            #expect(abs(values[index] - run.weights[index]) <= 1e-5, "\(index)")
        }
        #expect(Set(frozen).count > 3 && frozen.contains(-1))
    }

    private static func engine(
        _ rule: FlipRule?,
        recipe: QuantizationRecipe = QuantizationRecipe(defaultFormat: .mxfp4),
        copiesHost: Bool = false
    ) throws -> TrainingEngine {
        try tinyEngine(
            .init(
                recipe: recipe,
                averageDecay: 0.5,
                batchSize: 2,
                length: 16,
                freezing: rule
            ),
            copiesHost: copiesHost,
            isFrozen: { $0.contains("v_proj") }
        )
    }

    private static func train(
        _ engine: TrainingEngine,
        to end: Int,
        of steps: Int,
        after: (TrainingEngine) throws -> Void = { _ in }
    ) throws {
        while engine.stepCount < end {
            let step = engine.stepCount
            let tokens = (0..<32).map { Int32(($0 * 7 + step) % 53) }
            _ = try engine.step(
                tokens: tokens,
                learningRate: 1e-3,
                progress: Double(step) / Double(steps)
            )
            try after(engine)
        }
    }

    private static let rule = FlipRule(momentum: 0.1, threshold: 0.15)

    /// What is frozen stays to the end, and rounds to itself; the rest trains on.
    @Test func frozenWeightsStay() throws {
        let engine = try Self.engine(Self.rule)
        var held: [Int: Float] = [:]
        var counts: [Int] = []
        let team = ThreadTeam(threadCount: 1)
        try Self.train(engine, to: 40, of: 40) { engine in
            let weights = MomentRuns.weights(engine.parameters)
            for (place, value) in held { #expect(weights[place] == value) }
            let rounded = try engine.parameters.copy()
            try rounded.fakeQuantize(
                by: QuantizationRecipe(defaultFormat: .mxfp4),
                team: team
            )
            for tensor in engine.state where tensor.name.hasPrefix("frozen.") {
                let name = String(tensor.name.dropFirst("frozen.".count))
                let entry = try #require(engine.parameters.layout[name])
                for (index, state) in tensor.bytes.enumerated()
                where state == FlipRule.frozenState {
                    held[entry.offset + index] = weights[entry.offset + index]
                }
            }
            counts.append(engine.frozenCodeCounts?.frozen ?? 0)
        }
        #expect(counts.last == held.count && held.count > 10, "\(counts)")
        #expect(counts == counts.sorted())
        let all = try #require(engine.frozenCodeCounts).all
        #expect(held.count < all / 2)
        // Values are frozen only; keys and norms are neither rounded nor seen.
        #expect(
            !engine.state.contains { $0.name.contains("v_proj") && $0.name.hasPrefix("frozen") }
        )
    }

    /// Codes of an earlier stage are other ones: nothing is frozen before the last.
    @Test func earlierStagesFreezeNothing() throws {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            stages: [.init(until: 0.5, format: .mxfp6E2M3), .init(until: 1, format: .mxfp4)]
        )
        let engine = try Self.engine(Self.rule, recipe: recipe)
        try Self.train(engine, to: 30, of: 60)
        #expect(engine.frozenCodeCounts?.frozen == 0)
        let states = engine.state.filter { $0.name.hasPrefix("frozen.") }
        #expect(states.allSatisfy { $0.bytes.allSatisfy { $0 == 0 } })
        try Self.train(engine, to: 60, of: 60)
        #expect(try #require(engine.frozenCodeCounts).frozen > 0)
    }

    @Test(arguments: [false, true])
    func resumedRunRepeatsTheUninterruptedOne(copiesHost: Bool) throws {
        let whole = try Self.engine(Self.rule)
        try Self.train(whole, to: 30, of: 30)
        let first = try Self.engine(Self.rule, copiesHost: copiesHost)
        try Self.train(first, to: 15, of: 30)
        let second = try Self.engine(Self.rule, copiesHost: copiesHost)
        MomentRuns.restore(second, from: first)
        try Self.train(second, to: 30, of: 30)
        #expect(
            MomentRuns.weights(second.parameters) == MomentRuns.weights(whole.parameters)
        )
        #expect(second.frozenCodeCounts?.frozen == whole.frozenCodeCounts?.frozen)
        #expect(try #require(whole.frozenCodeCounts).frozen > 0)
    }

    /// Thirteen bytes for each weight of a layer that is rounded and trained.
    @Test func flipsTakeTheirBytes() {
        func bytes(_ freezes: Bool) -> Int {
            MemoryPlan(
                training: .smolLM2With135MParameters,
                .init(
                    recipe: QuantizationRecipe(
                        defaultFormat: .mxfp4,
                        rules: [.init(pattern: "*down_proj", format: nil)]
                    ),
                    distillation: nil,
                    batchSize: 1,
                    length: 2,
                    freezesFlips: freezes,
                    threads: 1
                ),
                isFrozen: { $0.contains("v_proj") }
            ).byteCount
        }
        let layer = 2 * 576 * 576 + 192 * 576 + 2 * 576 * 1536
        #expect(bytes(true) - bytes(false) == 30 * layer * 13)
    }
}
