internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// The acceptance's bound against PyTorch.
private let tolerance = 1e-4

struct TrainingEngineTests {
    private static func engine(
        _ fixture: LlamaFixture,
        distilled: Bool,
        team: ThreadTeam
    ) throws -> TrainingEngine {
        let key = distilled ? "distilled" : "tied"
        return try TrainingEngine(
            parameters: try fixture.parameters("\(key).weights", tied: !distilled),
            teacher: distilled ? try fixture.parameters("\(key).teacher", tied: false) : nil,
            settings: .init(
                recipe: distilled ? QuantizationRecipe(defaultFormat: .mxfp4) : .none,
                objective: distilled ? .distillation(.init()) : .crossEntropy,
                optimizer: OptimizerConfiguration(
                    beta1: 0.9,
                    beta2: 0.95,
                    epsilon: 1e-8,
                    weightDecay: 0.1,
                    gradientClipNorm: 0.5
                ),
                batchSize: 2,
                length: 12
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: team)
        )
    }

    @Test(arguments: [false, true], [1, 2, 3])
    func stepEqualsPyTorch(distilled: Bool, threads: Int) throws {
        let fixture = try LlamaFixture()
        let key = distilled ? "distilled" : "tied"
        let engine = try Self.engine(
            fixture,
            distilled: distilled,
            team: ThreadTeam(threadCount: threads)
        )
        let tokens = try fixture.tokens("\(key).tokens")
        let result = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
        let loss = try fixture.number("\(key).loss")
        #expect(abs(result.loss - loss) <= tolerance * loss)
        let norm = try fixture.number("\(key).gradient_norm")
        #expect(abs(result.gradientNorm - norm) <= tolerance * norm)
        let expected = try fixture.vector("\(key).gradients")
        for entry in engine.parameters.layout.entries {
            let found = try #require(engine.gradient(ofParameter: entry.name))
            let start = expected.startIndex + entry.offset
            let error = relativeError(found, expected[start..<start + entry.count])
            #expect(error <= tolerance, "\(entry.name)")
        }
        let updated = relativeError(
            engine.parameters.storage.elements,
            try fixture.vector("\(key).updated")
        )
        #expect(updated <= tolerance)
    }

    @Test(arguments: [false, true])
    func logitsEqualPyTorch(distilled: Bool) throws {
        let fixture = try LlamaFixture()
        let key = distilled ? "distilled" : "tied"
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let weights = try LayerWeights(
            parameters: try fixture.parameters("\(key).weights", tied: !distilled),
            recipe: distilled ? QuantizationRecipe(defaultFormat: .mxfp4) : .none,
            device: device
        )
        let pass = DecoderPass(
            weights: weights,
            attention: WholeSequences(
                configuration: weights.configuration,
                length: 12,
                device: device
            ),
            rows: 24,
            positions: 12,
            keeping: .none
        )
        pass.forward(try fixture.tokens("\(key).tokens"))
        let logits = device.logits(hidden: pass.finalNorm, head: weights.effectiveHead())
        #expect(relativeError(logits, try fixture.vector("\(key).logits")) <= tolerance)
    }

    @Test func accumulationEqualsOneLargerBatch() throws {
        let configuration = tinyConfiguration()
        let tokens = (0..<4 * 16).map { Int32(($0 * 7 + $0 / 5) % configuration.vocabularySize) }
        let updated = try [(4, 1), (1, 4), (2, 2)].map { batch, accumulation in
            let engine = try tinyEngine(configuration, batch: batch, accumulation: accumulation)
            _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
            return Array(engine.parameters.storage.elements)
        }
        // Sums in another order: equal up to rounding, amplified by Adam's normalization of tiny
        // gradients.
        #expect(relativeError(updated[1], updated[0]) <= 1e-3)
        #expect(relativeError(updated[2], updated[0]) <= 1e-3)
    }

    @Test func frozenParametersStay() throws {
        let configuration = tinyConfiguration()
        let engine = try tinyEngine(configuration, isFrozen: { $0.contains("embed_tokens") })
        let before = Array(try engine.parameters.elements(named: "model.embed_tokens.weight"))
        let norm = Array(try engine.parameters.elements(named: "model.norm.weight"))
        let tokens = (0..<32).map { Int32($0 % 50) }
        _ = try engine.step(tokens: tokens, learningRate: 1e-2, progress: 0)
        #expect(
            try engine.parameters.elements(named: "model.embed_tokens.weight").elementsEqual(before)
        )
        #expect(try !engine.parameters.elements(named: "model.norm.weight").elementsEqual(norm))
        #expect(engine.gradient(ofParameter: "model.embed_tokens.weight") == nil)
    }

    /// On a device with memory of its own, too: it must be told what was restored.
    @Test(arguments: [false, true])
    func resumedRunRepeatsTheUninterruptedOneBitForBit(copiesHost: Bool) throws {
        let configuration = tinyConfiguration()
        let text = (0..<4000).map { Int32(($0 * $0 + 3 * $0) % configuration.vocabularySize) }
        func run(_ engine: TrainingEngine, from first: Int, to last: Int) throws {
            let sampler = try WindowSampler(seed: 9, tokenCount: text.count, length: 16)
            let batch = AlignedBuffer<Int32>(count: 32)
            for step in first..<last {
                text.withUnsafeBufferPointer {
                    sampler.fill(batch.pointer, count: 2, step: step, from: $0)
                }
                _ = try engine.step(
                    tokens: batch.pointer,
                    learningRate: 1e-3,
                    progress: Double(step) / 6
                )
            }
        }
        let whole = try tinyEngine(configuration)
        try run(whole, from: 0, to: 6)
        func interrupted() throws -> TrainingEngine {
            let device = CPUDevice(team: ThreadTeam(threadCount: 2))
            return try tinyEngine(
                configuration,
                device: RecordingDevice(device, copiesHost: copiesHost)
            )
        }
        let first = try interrupted()
        try run(first, from: 0, to: 3)
        let second = try interrupted()
        second.parameters.storage.pointer.update(
            from: first.parameters.storage.pointer,
            count: first.parameters.storage.count
        )
        for (target, source) in zip(second.state, first.state) {
            target.bytes.copyMemory(from: UnsafeRawBufferPointer(source.bytes))
        }
        second.resume(atStep: 3)
        try run(second, from: 3, to: 6)
        #expect(
            second.parameters.storage.elements.elementsEqual(whole.parameters.storage.elements)
        )
    }

    @Test func divergenceIsReportedBeforeWeightsChange() throws {
        let engine = try tinyEngine(tinyConfiguration())
        engine.parameters.storage.pointer[5] = .nan
        let before = engine.parameters.storage.pointer[100]
        let tokens = [Int32](repeating: 0, count: 32)
        let error = #expect(throws: TransformerError.self) {
            try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
        }
        #expect(error?.code == .diverged)
        #expect(engine.parameters.storage.pointer[100] == before)
        #expect(engine.stepCount == 0)
    }

    @Test func lossFallsUnderEveryFormat() throws {
        let formats: [QuantizationFormat?] = [
            nil, .mxfp4, .nvfp4, .mxfp6E2M3, .mxfp6E3M2, .mxfp8, .mxfp8E5M2, .mxint8,
        ]
        for format in formats {
            let recipe = QuantizationRecipe(defaultFormat: format, activations: format)
            let engine = try tinyEngine(tinyConfiguration(), recipe: recipe)
            let tokens = (0..<32).map { Int32($0 % 16) }
            let first = try engine.step(tokens: tokens, learningRate: 3e-3, progress: 0).loss
            var last = first
            for _ in 0..<20 {
                last = try engine.step(tokens: tokens, learningRate: 3e-3, progress: 0).loss
            }
            #expect(last < first * 0.9, "\(format?.name ?? "none"): \(first) to \(last)")
        }
    }

    @Test func stagesChangeTheForwardPass() throws {
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            stages: [.init(until: 0.5, format: .mxfp8), .init(until: 1, format: .mxfp4)]
        )
        let tokens = (0..<32).map { Int32($0 % 50) }
        let losses = try [0.0, 0.4, 0.5, 0.9].map { progress in
            try tinyEngine(tinyConfiguration(), recipe: recipe)
                .step(tokens: tokens, learningRate: 0, progress: progress).loss
        }
        #expect(losses[0] == losses[1])
        #expect(losses[2] == losses[3])
        #expect(losses[0] != losses[2])
    }
}

/// An engine that trains random weights of the tiny model, on a device that tells what it is asked.
func tinyEngine(
    _ settings: TrainingEngine.Settings,
    threads: Int = 2,
    copiesHost: Bool = false,
    isFrozen: (String) -> Bool = { _ in false }
) throws -> TrainingEngine {
    try TrainingEngine(
        parameters: try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 3,
            deviation: 0.1
        ),
        teacher: nil,
        settings: settings,
        isFrozen: isFrozen,
        device: RecordingDevice(
            CPUDevice(team: ThreadTeam(threadCount: threads)),
            copiesHost: copiesHost
        )
    )
}

/// A small model whose widths are whole blocks.
func tinyConfiguration(layers: Int = 2) -> ModelConfiguration {
    ModelConfiguration(
        vocabularySize: 53,
        hiddenSize: 32,
        intermediateSize: 64,
        layerCount: layers,
        headCount: 4,
        keyValueHeadCount: 2,
        tiedEmbeddings: true
    )
}

/// An engine on random parameters.
func tinyEngine(
    _ configuration: ModelConfiguration,
    recipe: QuantizationRecipe = QuantizationRecipe(defaultFormat: .mxfp4),
    batch: Int = 2,
    accumulation: Int = 1,
    isFrozen: (String) -> Bool = { _ in false },
    device: any ComputeDevice = CPUDevice(team: ThreadTeam(threadCount: 2))
) throws -> TrainingEngine {
    try TrainingEngine(
        parameters: try Parameters.random(configuration: configuration, seed: 3, deviation: 0.1),
        teacher: nil,
        settings: .init(
            recipe: recipe,
            objective: .crossEntropy,
            optimizer: OptimizerConfiguration(),
            batchSize: batch,
            accumulation: accumulation,
            length: 16
        ),
        isFrozen: isFrozen,
        device: device
    )
}
