internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Training of low-rank adapters whose base is rounded with them.
struct AdapterTrainingTests {
    private struct Kind {
        var recipe = QuantizationRecipe(defaultFormat: .mxfp4)
        var optimizer = OptimizerConfiguration()
        var averageDecay: Double?
        var damping = 0.0
        var checkpointsActivations = false
        var accumulation = 1
        var copiesHost = false
        var threads = 2
        var operands = OperandPrecision.float32
    }

    private static func engine(
        _ parameters: Parameters,
        _ kind: Kind = Kind(),
        _ adapters: AdapterConfiguration?,
        length: Int = 16
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(
                recipe: kind.recipe,
                optimizer: kind.optimizer,
                averageDecay: kind.averageDecay,
                damping: kind.damping,
                batchSize: 2,
                accumulation: kind.accumulation,
                length: length,
                checkpointsActivations: kind.checkpointsActivations,
                adapters: adapters
            ),
            isFrozen: { _ in false },
            device: RecordingDevice(
                CPUDevice(
                    team: ThreadTeam(threadCount: kind.threads),
                    operands: kind.operands
                ),
                copiesHost: kind.copiesHost
            )
        )
    }

    private static func tiny() throws -> Parameters {
        try Parameters.random(configuration: tinyConfiguration(), seed: 3, deviation: 0.1)
    }

    /// Puts values into A and B, which begin otherwise.
    private static func set(_ engine: TrainingEngine, _ values: some Sequence<Float>) {
        var rest = Array(values)[...]
        for tensor in engine.state where tensor.name.hasPrefix("model.") {
            let count = tensor.bytes.count / 4
            tensor.bytes.bindMemory(to: Float.self).baseAddress?
                .update(from: Array(rest.prefix(count)), count: count)
            rest = rest.dropFirst(count)
        }
        #expect(rest.isEmpty)
        engine.resume(atStep: 0)
    }

    private static func adapters(_ engine: TrainingEngine) -> [Float] {
        engine.state.filter { $0.name.hasPrefix("model.") }
            .flatMap { Array($0.bytes.bindMemory(to: Float.self)) }
    }

    private static func gradients(_ engine: TrainingEngine) throws -> [Float] {
        try engine.state.map(\.name).filter { $0.hasPrefix("model.") }.flatMap {
            try #require(engine.gradient(ofParameter: $0))
        }
    }

    // MARK: PyTorch

    private static func fixture(
        _ kind: Kind
    ) throws -> (engine: TrainingEngine, fixture: LlamaFixture, tokens: [Int32]) {
        let (llama, fixture) = (try LlamaFixture(), try LlamaFixture("adapters"))
        let engine = try engine(
            try llama.parameters("distilled.weights", tied: false),
            kind,
            AdapterConfiguration(rank: 4, scale: 1.5),
            length: 12
        )
        set(engine, try fixture.vector("adapters"))
        return (engine, fixture, try llama.tokens("distilled.tokens"))
    }

    /// Against `Fixtures/make_adapter_fixtures.py`: PyTorch's autograd through Q(W + alpha / r B A).
    @Test(arguments: [false, true])
    func lossAndGradientsEqualPyTorch(checkpointsActivations: Bool) throws {
        let (engine, fixture, tokens) = try Self.fixture(
            Kind(checkpointsActivations: checkpointsActivations)
        )
        let losses = try #require(fixture.index["losses"])
        guard case .numbers(let expected) = losses else { return }
        let loss = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
        #expect(abs(loss - expected[0]) < 2e-5)
        let found = try Self.gradients(engine)
        #expect(relativeError(found, try fixture.vector("gradients")) < 1e-3)
        // A and B of a module are counted together, under the module's name.
        let squares = try fixture.vector("gradients").reduce(0) { $0 + Double($1) * Double($1) }
        let norms = engine.gradientNorms
        #expect(norms.keys.allSatisfy { engine.parameters.layout[$0 + ".weight"] != nil })
        let all = norms.values.reduce(0) { $0 + $1 * $1 }
        #expect(abs(all / squares - 1) < 2e-3)
    }

    /// The clipping estimator takes the gradient away of sums that saturate.
    @Test func clippedGradientsEqualPyTorch() throws {
        var kind = Kind()
        kind.recipe.straightThrough = .clip
        let (engine, fixture, tokens) = try Self.fixture(kind)
        _ = try engine.step(tokens: tokens, learningRate: 0, progress: 0)
        let found = try Self.gradients(engine)
        #expect(relativeError(found, try fixture.vector("clipped")) < 1e-3)
        #expect(relativeError(found, try fixture.vector("gradients")) > 1e-2)
    }

    /// Three steps with PyTorch's AdamW and its clipping.
    @Test func stepsEqualPyTorch() throws {
        var kind = Kind()
        kind.optimizer = OptimizerConfiguration(
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-2,
            weightDecay: 0.1,
            gradientClipNorm: 0.5
        )
        let (engine, fixture, tokens) = try Self.fixture(kind)
        guard case .numbers(let losses)? = fixture.index["losses"] else {
            Issue.record("no losses")
            return
        }
        for (step, expected) in losses.enumerated() {
            let result = try engine.step(tokens: tokens, learningRate: 1e-2, progress: 0)
            #expect(abs(result.loss - expected) < 2e-3, "step \(step)")
        }
        #expect(
            relativeError(Self.adapters(engine), try fixture.vector("updated")) < 2e-3
        )
    }

    // MARK: What is merged

    /// B is zero: what is rounded, measured and exported is the base, signs of zeros included.
    @Test(arguments: [false, true])
    func beginsAtTheBaseToTheBit(copiesHost: Bool) throws {
        let base = try Self.tiny()
        for index in stride(from: 0, to: base.storage.count, by: 5) {
            base.storage.pointer[index] = index % 2 == 0 ? -0.0 : 0
        }
        let before = base.storage.elements.map(\.bitPattern)
        let engine = try Self.engine(
            base,
            Kind(copiesHost: copiesHost),
            AdapterConfiguration(rank: 3, scale: 2, seed: 7)
        )
        for _ in 0..<2 {
            let found = MomentRuns.weights(engine.parameters).map(\.bitPattern)
            #expect(found == before)
            engine.resume(atStep: 0)
        }
        let a = try #require(engine.state.first { $0.name.hasSuffix("up_proj.lora_A.weight") })
        let drawn = a.bytes.bindMemory(to: Float.self)
        #expect(a.shape == [3, 32] && drawn.allSatisfy { abs($0) <= 0.17678 })
        #expect(Set(drawn).count > 90 && drawn.contains { $0 < 0 } && drawn.contains { $0 > 0.15 })
    }

    /// By hand, in double precision: W + s B A of the targets, and all else as it came.
    @Test(arguments: [OperandPrecision.float32, .bfloat16])
    func weightsAreTheSums(operands: OperandPrecision) throws {
        let base = try Self.tiny()
        let before = MomentRuns.weights(base)
        let engine = try Self.engine(
            base,
            Kind(operands: operands),
            AdapterConfiguration(rank: 3, scale: 0.5) { $0.hasSuffix("q_proj") }
        )
        try MomentRuns.train(engine, from: 0, to: 3)
        #expect(MomentRuns.weights(base) == before)
        let merged = MomentRuns.weights(engine.parameters)
        let tensors = Dictionary(
            uniqueKeysWithValues: engine.state.map {
                ($0.name, Array($0.bytes.bindMemory(to: Float.self)))
            }
        )
        for entry in base.layout.entries {
            let range = entry.offset..<entry.offset + entry.count
            guard let a = tensors[entry.module + ".lora_A.weight"],
                let b = tensors[entry.module + ".lora_B.weight"]
            else {
                #expect(merged[range].elementsEqual(before[range]), "\(entry.name)")
                continue
            }
            var worst = 0.0
            for row in 0..<entry.rows {
                for column in 0..<entry.columns {
                    var sum = 0.0
                    for k in 0..<3 {
                        sum += Double(b[row * 3 + k]) * Double(a[k * entry.columns + column])
                    }
                    let place = entry.offset + row * entry.columns + column
                    let expected = Double(before[place]) + 0.5 * sum
                    worst = max(worst, abs(Double(merged[place]) - expected))
                }
            }
            #expect(worst < 1e-7)
            #expect(!merged[range].elementsEqual(before[range]))
        }
        #expect(tensors.keys.filter { $0.hasPrefix("model.") }.count == 2 * 2)
    }

    /// The forward pass of a step is that of the merged weights, rounded as an export rounds them.
    @Test func stepsSeeWhatIsExported() throws {
        let base = try Self.tiny()
        let engine = try Self.engine(base, AdapterConfiguration(rank: 4, scale: 2))
        try MomentRuns.train(engine, from: 0, to: 4)
        let merged = try engine.trained.copy()
        let plain = try Self.engine(merged, nil)
        let tokens = (0..<32).map { Int32(($0 * 5) % 53) }
        let adapted = try engine.step(tokens: tokens, learningRate: 0, progress: 0).loss
        #expect(adapted == (try plain.step(tokens: tokens, learningRate: 0, progress: 0).loss))
    }

    // MARK: Gradients that pass through whole weights

    /// Of the damping loss: 2 λ s (w - Q(w)) Aᵀ for B, and Bᵀ from the left for A.
    @Test func dampingPassesThroughTheProduct() throws {
        var format = QuantizationFormat.mxfp4
        format.scaleMode = .ceil
        let recipe = QuantizationRecipe(defaultFormat: format)
        let adapters = AdapterConfiguration(rank: 2, scale: 0.5)
        let plain = try Self.engine(try Self.tiny(), Kind(recipe: recipe), adapters)
        try MomentRuns.train(plain, from: 0, to: 3)
        let damped = try Self.engine(
            try Self.tiny(),
            Kind(recipe: recipe, damping: 0.25),
            adapters
        )
        Self.set(damped, Self.adapters(plain))
        let tokens = (0..<32).map { Int32(($0 * 5) % 53) }
        let weights = MomentRuns.weights(plain.parameters)
        let rounded = try plain.parameters.copy()
        try rounded.fakeQuantize(by: recipe, team: ThreadTeam(threadCount: 1))
        for engine in [plain, damped] {
            _ = try engine.step(tokens: tokens, learningRate: 0, progress: 1)
        }
        let entry = try #require(plain.parameters.layout["model.layers.1.mlp.down_proj.weight"])
        let names = (entry.module + ".lora_A.weight", entry.module + ".lora_B.weight")
        let tensors = Dictionary(
            uniqueKeysWithValues: plain.state.map {
                ($0.name, Array($0.bytes.bindMemory(to: Float.self)))
            }
        )
        let (a, b) = (try #require(tensors[names.0]), try #require(tensors[names.1]))
        var expected = (a: [Float](repeating: 0, count: a.count), b: b.map { _ in Float(0) })
        for row in 0..<entry.rows {
            for column in 0..<entry.columns {
                let place = entry.offset + row * entry.columns + column
                let pull = 2 * 0.25 * 0.5 * (weights[place] - rounded.storage.pointer[place])
                for k in 0..<2 {
                    expected.b[row * 2 + k] += pull * a[k * entry.columns + column]
                    expected.a[k * entry.columns + column] += pull * b[row * 2 + k]
                }
            }
        }
        for (name, wanted) in [(names.0, expected.a), (names.1, expected.b)] {
            let without = try #require(plain.gradient(ofParameter: name))
            let with = try #require(damped.gradient(ofParameter: name))
            let difference = zip(with, without).map { $0 - $1 }
            #expect(relativeError(difference, wanted) < 1e-4, "\(name)")
        }
    }

    // MARK: Runs

    @Test(arguments: [false, true])
    func resumedRunRepeatsTheUninterruptedOne(copiesHost: Bool) throws {
        let kind = Kind(averageDecay: 0.9, damping: 0.01, copiesHost: copiesHost)
        let adapters = AdapterConfiguration(rank: 4, scale: 2, seed: 5)
        let whole = try Self.engine(
            try Self.tiny(),
            Kind(averageDecay: 0.9, damping: 0.01),
            adapters
        )
        try MomentRuns.train(whole, from: 0, to: 6)
        let first = try Self.engine(try Self.tiny(), kind, adapters)
        try MomentRuns.train(first, from: 0, to: 3)
        // Another base, and other adapters: all that counts comes from the checkpoint.
        let other = try Parameters.random(configuration: tinyConfiguration(), seed: 4)
        let second = try Self.engine(other, kind, AdapterConfiguration(rank: 4, scale: 2, seed: 6))
        second.stored.storage.pointer.update(
            from: first.stored.storage.pointer,
            count: first.stored.storage.count
        )
        for (target, source) in zip(second.state, first.state) {
            #expect(target.name == source.name)
            target.bytes.copyMemory(from: UnsafeRawBufferPointer(source.bytes))
        }
        second.resume(atStep: 3)
        try MomentRuns.train(second, from: 3, to: 6)
        #expect(MomentRuns.weights(second.parameters) == MomentRuns.weights(whole.parameters))
        #expect(MomentRuns.weights(second.trained) == MomentRuns.weights(whole.trained))
        #expect(Self.adapters(second) == Self.adapters(whole))
    }

    @Test(arguments: [OperandPrecision.float32, .bfloat16])
    func bitsDoNotDependOnThreads(operands: OperandPrecision) throws {
        let runs = try [1, 3].map { threads in
            let engine = try Self.engine(
                try Self.tiny(),
                Kind(accumulation: 2, threads: threads, operands: operands),
                AdapterConfiguration(rank: 4, scale: 2)
            )
            for step in 0..<3 {
                let tokens = (0..<64).map { Int32(($0 * 7 + step) % 53) }
                _ = try engine.step(tokens: tokens, learningRate: 1e-2, progress: 0)
            }
            return MomentRuns.weights(engine.parameters)
        }
        #expect(runs[0] == runs[1])
    }

    /// Adapters of a rank that is not low come to where the whole weights do not: lower all the same.
    @Test func lossFalls() throws {
        let engine = try Self.engine(
            try Self.tiny(),
            AdapterConfiguration(rank: 8, scale: 2)
        )
        let tokens = (0..<32).map { Int32(($0 * 7) % 53) }
        let losses = try (0..<30).map { _ in
            try engine.step(tokens: tokens, learningRate: 1e-2, progress: 0).loss
        }
        #expect(losses[29] < 0.6 * losses[0], "\(losses)")
    }

    @Test func noTargetIsRefused() throws {
        #expect(throws: TransformerError.self) {
            try Self.engine(try Self.tiny(), AdapterConfiguration(rank: 2, scale: 1) { _ in false })
        }
    }
}

extension AdapterTrainingTests {
    private static func engine(
        _ parameters: Parameters,
        _ adapters: AdapterConfiguration?
    ) throws -> TrainingEngine {
        try engine(parameters, Kind(), adapters)
    }
}
