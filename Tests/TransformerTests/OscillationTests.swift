internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// The damping loss against weights that flip between two codes.
struct OscillationTests {
    private static func engine(
        _ damping: Double,
        recipe: QuantizationRecipe = QuantizationRecipe(defaultFormat: .mxfp4),
        copiesHost: Bool = false
    ) throws -> TrainingEngine {
        try tinyEngine(
            .init(recipe: recipe, damping: damping, batchSize: 2, length: 16),
            copiesHost: copiesHost
        )
    }

    private static func tokens(_ step: Int) -> [Int32] {
        (0..<32).map { Int32(($0 * 7 + step) % 53) }
    }

    /// Its gradient is 2 λ (w - Q(w)) of every rounded weight, beside a run without it.
    ///
    /// Of others it is nothing. Scales by `ceil` hold every weight, so that none saturates.
    @Test(arguments: [(1.0, 1.0), (0.5, 0.5), (1.0 / 3, 0.25), (0.0, 0.0)])
    func gradientIsTheDefinition(progress: Double, share: Double) throws {
        var format = QuantizationFormat.mxfp4
        format.scaleMode = .ceil
        let recipe = QuantizationRecipe(defaultFormat: format)
        let lambda = 0.125
        let plain = try Self.engine(0, recipe: recipe)
        let damped = try Self.engine(lambda, recipe: recipe)
        let weights = MomentRuns.weights(plain.parameters)
        let rounded = try plain.parameters.copy()
        try rounded.fakeQuantize(by: recipe, team: ThreadTeam(threadCount: 1))
        for engine in [plain, damped] {
            _ = try engine.step(tokens: Self.tokens(0), learningRate: 0, progress: progress)
        }
        var seen = 0
        for entry in plain.parameters.layout.entries {
            let a = try #require(plain.gradient(ofParameter: entry.name))
            let b = try #require(damped.gradient(ofParameter: entry.name))
            for index in 0..<entry.count {
                let place = entry.offset + index
                let distance = Double(weights[place] - rounded.storage.pointer[place])
                let expected = 2 * lambda * share * distance
                #expect(abs(Double(b[index] - a[index]) - expected) <= 1e-6)
                if distance != 0 { seen += 1 }
            }
        }
        #expect(seen > 10_000)
    }

    /// Under `floor` a block's largest may lie beyond its largest code: nothing pulls it there.
    @Test func saturatedWeightsAreLeftAlone() throws {
        let plain = try Self.engine(0)
        let damped = try Self.engine(0.125)
        let rounded = try plain.parameters.copy()
        try rounded.fakeQuantize(
            by: QuantizationRecipe(defaultFormat: .mxfp4),
            team: ThreadTeam(threadCount: 1)
        )
        let weights = MomentRuns.weights(plain.parameters)
        for engine in [plain, damped] {
            _ = try engine.step(tokens: Self.tokens(0), learningRate: 0, progress: 1)
        }
        let entry = try #require(plain.parameters.layout["model.layers.0.mlp.up_proj.weight"])
        let a = try #require(plain.gradient(ofParameter: entry.name))
        let b = try #require(damped.gradient(ofParameter: entry.name))
        var saturated = 0
        for index in 0..<entry.count {
            let weight = weights[entry.offset + index]
            let code = rounded.storage.pointer[entry.offset + index]
            let block = (index / 32 * 32)..<(index / 32 * 32 + 32)
            let top = block.map { abs(rounded.storage.pointer[entry.offset + $0]) }.max() ?? 0
            // A block whose largest is rounded to 6 steps may have some beyond.
            guard abs(code) == top, abs(weight) > abs(code) * 1.0001, b[index] == a[index] else {
                continue
            }
            saturated += 1
        }
        #expect(saturated > 0)
    }

    /// How often weights' values change from one step to the next, in the last steps of a run.
    private static func flips(_ damping: Double) throws -> Int {
        let engine = try Self.engine(damping)
        let team = ThreadTeam(threadCount: 1)
        var before: [Float] = []
        var count = 0
        for step in 0..<80 {
            _ = try engine.step(
                tokens: Self.tokens(step),
                learningRate: 1e-3,
                progress: Double(step) / 80
            )
            guard step >= 60 else { continue }
            let rounded = try engine.parameters.copy()
            try rounded.fakeQuantize(by: QuantizationRecipe(defaultFormat: .mxfp4), team: team)
            let now = rounded.layout.entries.filter { $0.name.contains("proj") }.flatMap { entry in
                (0..<entry.count).map { rounded.storage.pointer[entry.offset + $0] }
            }
            count += zip(before, now).filter { $0 != $1 }.count
            before = now
        }
        return count
    }

    @Test func dampedWeightsFlipLess() throws {
        let (plain, damped) = (try Self.flips(0), try Self.flips(0.05))
        #expect(Double(damped) < 0.8 * Double(plain), "\(damped) of \(plain) flips")
    }

    @Test(arguments: [false, true])
    func resumedRunRepeatsTheUninterruptedOne(copiesHost: Bool) throws {
        func run(_ engine: TrainingEngine, to end: Int) throws {
            while engine.stepCount < end {
                _ = try engine.step(
                    tokens: Self.tokens(engine.stepCount),
                    learningRate: 1e-3,
                    progress: Double(engine.stepCount) / 6
                )
            }
        }
        let whole = try Self.engine(0.1)
        try run(whole, to: 6)
        let first = try Self.engine(0.1, copiesHost: copiesHost)
        try run(first, to: 3)
        let second = try Self.engine(0.1, copiesHost: copiesHost)
        MomentRuns.restore(second, from: first)
        try run(second, to: 6)
        #expect(
            MomentRuns.weights(second.parameters) == MomentRuns.weights(whole.parameters)
        )
    }
}
