internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import ModelFiles
@testable internal import Transformer

/// Both sides compute in single precision from the same BF16 weights, with sums in other orders.
private let lossTolerance = 1e-5
private let logitTolerance = 2e-5
private let gradientTolerance = 1e-4

/// Every architecture against transformers.
struct ArchitectureTests {
    @Test(arguments: ArchitectureFixture.all)
    func perplexityEqualsTransformers(fixture: ArchitectureFixture) throws {
        let expected = try fixture.expected()
        let parameters = try fixture.parameters()
        let length = expected.tokens[0].count
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: length,
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
        let result = try evaluator.evaluate(
            tokens: expected.tokens.flatMap { $0 },
            windows: expected.tokens.count
        )
        #expect(abs(result.meanLoss - expected.loss) <= lossTolerance * expected.loss)
        #expect(
            abs(result.perplexity - exp(expected.loss)) <= lossTolerance * exp(expected.loss)
        )
    }

    @Test(arguments: ArchitectureFixture.all)
    func logitsEqualTransformers(fixture: ArchitectureFixture) throws {
        let expected = try fixture.expected()
        let team = ThreadTeam(threadCount: 2)
        let parameters = try fixture.parameters()
        for row in expected.logits {
            let generator = try Generator(
                parameters: parameters,
                capacity: 64,
                chunk: 7,
                device: CPUDevice(team: team)
            )
            try generator.append(Array(expected.tokens[row.rowOf[0]][...row.rowOf[1]]))
            let length = expected.tokens[0].count
            // Rows within a longer text may have been rotated for the whole of it.
            let dependsOnLength =
                switch parameters.configuration.rotary.scaling {
                case .dynamic, .longRope: true
                case nil, .linear, .llama3, .yarn: false
                }
            guard row.rowOf[1] + 1 == length || !dependsOnLength else { continue }
            #expect(relativeError(generator.lastLogits, row.values) <= logitTolerance)
        }
    }

    @Test(arguments: ArchitectureFixture.all)
    func greedyTokensEqualTransformers(fixture: ArchitectureFixture) throws {
        let expected = try fixture.expected()
        let parameters = try fixture.parameters()
        #expect(try Self.greedy(expected.prompt, parameters) == expected.greedy)
        guard let crossing = expected.crossing else { return }
        // LongRoPE's factors change at once, and all keys with them; dynamic scaling leaves the cached
        // keys as they were.
        var isLongRope = false
        if case .longRope = parameters.configuration.rotary.scaling { isLongRope = true }
        #expect(
            try Self.greedy(crossing.prompt, parameters)
                == (isLongRope ? crossing.recomputed : crossing.cached)
        )
    }

    private static func greedy(_ prompt: [Int32], _ parameters: Parameters) throws -> [Int32] {
        let generator = try Generator(
            parameters: parameters,
            capacity: prompt.count + 32,
            chunk: 16,
            device: CPUDevice(team: ThreadTeam(threadCount: 2))
        )
        try generator.append(prompt)
        return try (0..<32).map { index in
            let token = generator.sample(SamplingOptions())
            if index < 31 { try generator.append([token]) }
            return token
        }
    }

    /// Three texts at a time: the prompt, twice and in pieces, beside another.
    @Test(arguments: ArchitectureFixture.all)
    func batchesWriteWhatTransformersWrites(fixture: ArchitectureFixture) throws {
        let expected = try fixture.expected()
        let parameters = try fixture.parameters()
        let limits = BatchLimits(
            rows: 40,
            sequences: 3,
            length: expected.prompt.count + 32,
            pageRows: 8
        )
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let decoder: BatchDecoder
        do {
            decoder = try BatchDecoder(parameters: parameters, limits: limits, device: device)
        } catch let error as TransformerError {
            // What turns keys otherwise where a text grows beyond a length is refused, and nothing else.
            #expect(expected.crossing != nil && error.code == .invalidConfiguration)
            return
        }
        for sequence in 0..<3 {
            for page in 0..<decoder.limits.pagesPerSequence {
                decoder.setPage(page * 3 + sequence, at: page, of: sequence)
            }
        }
        let prompts = [expected.prompt, Array(expected.prompt.reversed()), expected.prompt]
        var (done, texts) = ([0, 0, 0], prompts)
        var logits = [Float](repeating: 0, count: parameters.configuration.vocabularySize)
        while texts[0].count < expected.prompt.count + 32
            || texts[2].count < expected.prompt.count + 32
        {
            var batch = Batch()
            var asked: [(sequence: Int, index: Int)] = []
            for (sequence, text) in texts.enumerated() where done[sequence] < decoder.limits.length
            {
                let end = min(text.count, done[sequence] + [16, 7, 3][sequence])
                let index = batch.append(
                    text[done[sequence]..<end],
                    at: done[sequence],
                    of: sequence,
                    wantsLogits: end == text.count
                )
                done[sequence] = end
                if let index { asked.append((sequence, index)) }
            }
            decoder.run(batch)
            for (sequence, index) in asked where texts[sequence].count < decoder.limits.length {
                decoder.logits(index, into: &logits)
                let best = logits.indices.max { logits[$0] < logits[$1] } ?? 0
                texts[sequence].append(Int32(best))
            }
        }
        #expect(Array(texts[0].suffix(32)) == expected.greedy)
        #expect(Array(texts[2].suffix(32)) == expected.greedy)
    }

    @Test(arguments: ArchitectureFixture.all, [1, 2, 3])
    func aStepEqualsPyTorch(fixture: ArchitectureFixture, threads: Int) throws {
        let expected = try fixture.expected()
        let step = try #require(expected.step)
        let parameters = try fixture.parameters()
        let length = expected.tokens[0].count
        let engine = try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(
                recipe: .none,
                objective: .crossEntropy,
                optimizer: OptimizerConfiguration(),
                batchSize: expected.tokens.count,
                length: length
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: threads))
        )
        let tokens = expected.tokens.flatMap { $0 }
        let result = try engine.step(tokens: tokens, learningRate: step.lr, progress: 0)
        #expect(abs(result.loss - expected.loss) <= lossTolerance * expected.loss)
        #expect(abs(result.gradientNorm - step.gradNorm) <= gradientTolerance * step.gradNorm)
        try Self.compareGradients(engine, try fixture.gradients())
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: length,
            device: CPUDevice(team: ThreadTeam(threadCount: threads))
        )
        let after = try evaluator.evaluate(tokens: tokens, windows: expected.tokens.count)
        #expect(abs(after.meanLoss - step.lossAfter) <= lossTolerance * step.lossAfter)
    }

    /// Fused tensors hold the rows of their parts, one after the other.
    private static func compareGradients(
        _ engine: TrainingEngine,
        _ expected: [String: [Float]]
    ) throws {
        var left = Set(engine.parameters.layout.entries.map(\.name))
        for (name, values) in expected {
            var parts = [name]
            if name.hasSuffix("qkv_proj.weight") {
                parts = ["q_proj", "k_proj", "v_proj"].map {
                    name.replacingOccurrences(of: "qkv_proj", with: $0)
                }
            } else if name.hasSuffix("gate_up_proj.weight") {
                parts = ["gate_proj", "up_proj"].map {
                    name.replacingOccurrences(of: "gate_up_proj", with: $0)
                }
            }
            let found = try parts.flatMap {
                try #require(engine.gradient(ofParameter: $0), "\($0)")
            }
            #expect(found.count == values.count, "\(name)")
            #expect(relativeError(found, values) <= gradientTolerance, "\(name)")
            left.subtract(parts)
        }
        #expect(left.isEmpty, "without a gradient to compare: \(left.sorted())")
    }

    @Test(arguments: ArchitectureFixture.all)
    func bothStylesOfConfigurationAreOneModel(fixture: ArchitectureFixture) throws {
        let old = try fixture.parameters()
        let new = try fixture.parameters(configuration: "config.v5.json")
        #expect(old.configuration == new.configuration)
    }

    @Test(arguments: ArchitectureFixture.refused)
    func mixturesOfExpertsAreRefusedByName(fixture: ArchitectureFixture) throws {
        let folder = try fixture.checkout()
        defer { try? FileManager.default.removeItem(at: folder) }
        let error = #expect(throws: ModelFileError.self) {
            try ModelLoader.open(path: folder.path)
        }
        #expect(error?.code == .unsupported)
        let type = fixture.name == "mixtral" ? "mixtral" : "qwen3_moe"
        #expect(error?.message.contains(type) == true, "\(String(describing: error))")
    }

    @Test func everyCaseIsTested() {
        #expect(ArchitectureFixture.all.count >= 34)
        #expect(ArchitectureFixture.refused.count == 2)
    }
}

/// The largest difference relative to the largest expected magnitude: entries near zero are judged by
/// the scale of the tensor they stand in.
func relativeError(_ found: some Collection<Float>, _ expected: some Collection<Float>) -> Double {
    guard found.count == expected.count, found.allSatisfy(\.isFinite) else { return .infinity }
    let scale = expected.reduce(0) { max($0, abs(Double($1))) }
    let difference = zip(found, expected).reduce(0) { max($0, abs(Double($1.0) - Double($1.1))) }
    return difference / max(scale, 1e-12)
}
