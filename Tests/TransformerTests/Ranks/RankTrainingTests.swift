internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// One model, trained by several ranks, against one process that takes the same steps.
///
/// One run at a time, and on threads of its own: those that tests share are as many as processors, and calls of
/// other tests run out of time while these wait for each other on them.
@Suite(.serialized) struct RankTrainingTests {
    /// What a run ends with.
    private struct End: Sendable, Equatable {
        var weights: [Float]
        /// Moments and all else that a checkpoint holds; of rank 0.
        var state: [[UInt8]]
        var losses: [Double]
        var norms: [Double]
        var modules: [String: Double]
    }

    /// A kind of run.
    struct Kind: Sendable, CustomTestStringConvertible {
        let name: String
        var settings: @Sendable (inout TrainingEngine.Settings) -> Void = { _ in }
        var findsScales = false
        var clipsInputs = false
        var frozen: [String] = []

        var testDescription: String { name }
    }

    private static let accumulation = 4
    private static let steps = 4

    static let kinds = [
        Kind(name: "AdamW"),
        Kind(name: "Lion", settings: { $0.optimizer = OptimizerConfiguration(.lion) }),
        Kind(name: "clipped", settings: { $0.optimizer.gradientClipNorm = 0.01 }),
        Kind(name: "frozen parts", frozen: ["model.embed_tokens.weight", "model.norm.weight"]),
        Kind(name: "distillation", settings: { $0.objective = .distillation(Distillation()) }),
        Kind(
            name: "several losses",
            settings: {
                $0.objective = .distillation(
                    Distillation(temperature: 2, crossEntropyWeight: 0.3, hiddenWeight: 0.1)
                )
            }
        ),
        Kind(
            name: "adapters",
            settings: { $0.adapters = AdapterConfiguration(rank: 4, scale: 2, seed: 5) }
        ),
        Kind(name: "learned scales", settings: { $0.learnsScales = true }, findsScales: true),
        Kind(
            name: "learned thresholds",
            settings: {
                $0.recipe = QuantizationRecipe(defaultFormat: .nvfp4, activations: .nvfp4)
                $0.inputScales = .learned
                $0.clipRegularization = 0.01
            },
            clipsInputs: true
        ),
        Kind(name: "damping", settings: { $0.damping = 0.1 }),
        Kind(name: "an average", settings: { $0.averageDecay = 0.9 }),
        Kind(
            name: "frozen codes",
            settings: { $0.freezing = FlipRule(momentum: 0.1, threshold: 0.02) }
        ),
        Kind(name: "recomputed activations", settings: { $0.checkpointsActivations = true }),
    ]

    private static func engine(_ kind: Kind, ranks: (any RankGroup)?) throws -> TrainingEngine {
        var settings = TrainingEngine.Settings(
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            batchSize: 2,
            accumulation: accumulation,
            length: 16
        )
        kind.settings(&settings)
        // Many buckets, cut within weights.
        settings.bucketCount = 700
        if let ranks, ranks.rank > 0 { settings.averageDecay = nil }
        let team = ThreadTeam(threadCount: 1)
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 3,
            deviation: 0.3
        )
        if kind.findsScales {
            _ = try parameters.findScales(by: .max, recipe: settings.recipe, team: team)
        }
        let engine = try TrainingEngine(
            parameters: parameters,
            teacher: try parameters.copy(),
            settings: settings,
            isFrozen: { kind.frozen.contains($0) },
            ranks: ranks,
            device: CPUDevice(team: team)
        )
        if kind.clipsInputs {
            let modules = LinearModule.allCases.flatMap { module in
                (0..<parameters.configuration.layerCount).map { module.name(layer: $0) }
            }
            let amax = Dictionary(uniqueKeysWithValues: modules.map { ($0, Float(2)) })
            try engine.clipInputs(at: InputRanges(amax: amax))
        }
        return engine
    }

    private static func tokens(_ step: Int) -> [Int32] {
        (0..<2 * accumulation * 16).map { Int32(($0 * 7 + $0 / 11 + 5 * step) % 53) }
    }

    /// Takes steps; `resuming` goes on from a state instead of the beginning.
    private static func run(
        _ engine: TrainingEngine,
        steps range: Range<Int> = 0..<steps
    ) throws -> (losses: [Double], norms: [Double]) {
        var found: (losses: [Double], norms: [Double]) = ([], [])
        for step in range {
            let result = try engine.step(
                tokens: tokens(step),
                learningRate: 1e-3,
                progress: Double(step) / Double(steps),
                scaleLearningRate: 1e-3,
                clipLearningRate: 1e-2
            )
            found.losses.append(result.loss)
            found.norms.append(result.gradientNorm)
        }
        return found
    }

    private static func end(
        _ engine: TrainingEngine,
        _ found: (losses: [Double], norms: [Double])
    ) -> End {
        engine.collectState()
        return withExtendedLifetime(engine) {
            End(
                weights: MomentRuns.weights(engine.parameters),
                state: engine.state.map { Array($0.bytes) },
                losses: found.losses,
                norms: found.norms,
                modules: engine.gradientNorms
            )
        }
    }

    private static func ranks(_ count: Int, _ kind: Kind) throws -> [End] {
        try ThreadRanks.run(count) { ranks in
            let engine = try engine(kind, ranks: ranks)
            engine.shareState()
            return end(engine, try run(engine))
        }
    }

    /// Losses, norms and weights are one process's up to the order of sums, and all ranks' weights, and another
    /// run's, the same bits.
    ///
    /// Tolerance: sums of FP32 gradients in another order differ in their last bits, by some 1e-7 of the largest;
    /// AdamW turns that of gradients near zero into a part of a step, so that weights differ by less than
    /// 1e-3 (the rate) times what gradients do, relative to themselves.
    @Test(arguments: kinds, [2, 3, 4])
    func equalsOneProcess(kind: Kind, count: Int) async throws {
        let (expected, found, again) = try await ThreadRanks.apart {
            let alone = try Self.engine(kind, ranks: nil)
            let expected = Self.end(alone, try Self.run(alone))
            return (expected, try Self.ranks(count, kind), try Self.ranks(count, kind))
        }
        for (rank, end) in found.enumerated() {
            #expect(end.weights == found[0].weights, "rank \(rank)")
            #expect(end.losses == found[0].losses && end.norms == found[0].norms)
        }
        let first = found[0]
        for (loss, wanted) in zip(first.losses, expected.losses) {
            #expect(abs(loss - wanted) <= 1e-5 * abs(wanted), "\(first.losses) \(expected.losses)")
        }
        for (norm, wanted) in zip(first.norms, expected.norms) {
            #expect(abs(norm - wanted) <= 1e-4 * wanted, "\(first.norms) \(expected.norms)")
        }
        let distance = relativeError(first.weights, expected.weights)
        #expect(distance <= 1e-4, "\(distance)")
        #expect(first.modules.keys.sorted() == expected.modules.keys.sorted())
        for (module, norm) in expected.modules {
            #expect(abs((first.modules[module] ?? 0) - norm) <= 1e-3 * norm + 1e-7, "\(module)")
        }
        #expect(again[0] == first)
    }

    /// A run that goes on from what rank 0's checkpoint holds, with the same ranks, ends with the same bits; with
    /// others, or in one process, with the same up to rounding.
    @Test(arguments: [MomentPrecision.float32, .bfloat16, .int8])
    func goesOnFromACheckpoint(moments: MomentPrecision) throws {
        let kind = Kind(name: "\(moments)", settings: { $0.optimizer.moments = moments })
        let whole = try Self.ranks(2, kind)[0]
        let half = try ThreadRanks.run(2) { ranks in
            let engine = try Self.engine(kind, ranks: ranks)
            engine.shareState()
            return Self.end(engine, try Self.run(engine, steps: 0..<2))
        }[0]
        @Sendable func resumed(_ ranks: (any RankGroup)?) throws -> End {
            let engine = try Self.engine(kind, ranks: ranks)
            if ranks?.rank ?? 0 == 0 {
                for (target, source) in zip(engine.state, half.state) {
                    target.bytes.copyBytes(from: source)
                }
                engine.parameters.storage.elements.baseAddress?.update(
                    from: half.weights,
                    count: half.weights.count
                )
                engine.resume(atStep: 2)
            }
            engine.shareState()
            return Self.end(engine, try Self.run(engine, steps: 2..<4))
        }
        let same = try ThreadRanks.run(2) { try resumed($0) }[0]
        #expect(same.weights == whole.weights && same.state == whole.state)
        for end in [try ThreadRanks.run(4) { try resumed($0) }[0], try resumed(nil)] {
            #expect(relativeError(end.weights, whole.weights) <= 1e-4)
        }
    }

    /// All ranks find a divergence, wherever it began, and say the same of it.
    @Test func allRanksDivergeAlike() throws {
        let found = try ThreadRanks.run(2) { ranks -> String in
            let engine = try Self.engine(Kind(name: "NaN"), ranks: ranks)
            engine.shareState()
            if ranks.rank == 1 {
                try engine.parameters.elements(named: "model.layers.1.mlp.up_proj.weight")[0] = .nan
                engine.take(atStep: 0)
            }
            do {
                _ = try Self.run(engine, steps: 0..<1)
                return "no error"
            } catch let error as TransformerError {
                return "\(error.code): \(error.message)"
            }
        }
        #expect(found[0] == found[1])
        #expect(found[0].hasPrefix("diverged"), "\(found[0])")
        #expect(found[0].contains("model.layers.1.mlp"), "\(found[0])")
    }

    /// Buckets cover an arena once, from its end on, and parts a bucket; cuts are blocks of moments apart.
    @Test(arguments: [1, 300, 5000, 1 << 30], [2, 3, 8, 64])
    func cutsCoverTheArena(target: Int, ranks: Int) {
        let counts = [4096, 64, 4096, 2048, 64, 1000, 64, 64]
        let layers = [-1, 0, 0, 0, 1, 1, Int.max - 1, Int.max - 1]
        var places: [Range<Int>] = []
        var total = 0
        for count in counts {
            places.append(total..<total + count)
            total += (count + 15) / 16 * 16
        }
        let plan = RankBuckets(places, layers: layers, total: total, target: target)
        var end = total
        for bucket in plan.buckets {
            #expect(bucket.range.upperBound == end)
            end = bucket.range.lowerBound
            // No element that is ready later.
            for (place, layer) in zip(places, layers) where place.overlaps(bucket.range) {
                #expect(layer >= bucket.layer)
            }
            let parts = plan.parts(of: bucket.range, ranks: ranks)
            #expect(parts.count == ranks && parts[0].lowerBound == 0)
            #expect(parts[ranks - 1].upperBound == bucket.range.count)
            for (part, next) in zip(parts, parts.dropFirst()) {
                #expect(part.upperBound == next.lowerBound)
                let position = bucket.range.lowerBound + part.upperBound
                let start = places.last { $0.lowerBound <= position }?.lowerBound ?? 0
                #expect((position - start) % 256 == 0 || part.upperBound == bucket.range.count)
            }
        }
        #expect(end == 0)
        // What is done with last waits for nothing else: the others are on their way before.
        #expect(plan.buckets.first.map { $0.layer >= 0 } ?? false)
    }
}
