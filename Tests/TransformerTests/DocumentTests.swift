internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Windows that hold several documents.
struct DocumentTests {
    private static let end: Int32 = 5
    private static let all = DocumentRules(
        endToken: end,
        resetsPositions: true,
        resetsAttention: true,
        masksLoss: true
    )

    private static func engine(
        _ parameters: Parameters,
        _ documents: DocumentRules?,
        teacher: Parameters? = nil,
        objective: TrainingObjective = .crossEntropy,
        recipe: QuantizationRecipe = .none,
        checkpointsActivations: Bool = false,
        threads: Int = 2
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: parameters,
            teacher: teacher,
            settings: .init(
                recipe: recipe,
                objective: objective,
                batchSize: 2,
                length: 12,
                checkpointsActivations: checkpointsActivations,
                documents: documents
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: threads))
        )
    }

    private static func rules(_ name: String) -> DocumentRules? {
        switch name {
        case "positions": DocumentRules(endToken: end, resetsPositions: true)
        case "attention": DocumentRules(endToken: end, resetsAttention: true)
        case "all", "distilled": all
        default: nil
        }
    }

    /// Documents that tokens mark are those that a token ends, bit for bit.
    ///
    /// A silent token is one that the rules leave out; `lossAndGradientsEqualPyTorch` says that these are right.
    @Test(arguments: ["attention", "all", "distilled"])
    func marksEqualRules(name: String) throws {
        let llama = try LlamaFixture()
        let windows = try LlamaFixture("documents").tokens("tokens")
        let isDistilled = name == "distilled"
        func run(_ tokens: [Int32], _ rules: DocumentRules) throws -> (StepResult, [Float]) {
            let engine = try Self.engine(
                llama.parameters("distilled.weights", tied: false),
                rules,
                teacher: isDistilled ? llama.parameters("distilled.teacher", tied: false) : nil,
                objective: isDistilled
                    ? .distillation(Distillation(crossEntropyWeight: 0.4, hiddenWeight: 0.5))
                    : .crossEntropy
            )
            let result = try engine.step(tokens: tokens, learningRate: 0, progress: 0)
            return (result, try #require(engine.gradient(ofParameter: "model.embed_tokens.weight")))
        }
        var rules = try #require(Self.rules(name))
        let expected = try run(windows, rules)
        let isMasking = rules.masksLoss
        rules.endToken = nil
        rules.masksLoss = false
        let marked = windows.map { token in
            guard token == Self.end else { return token }
            return token | MarkedToken.documentEnd | (isMasking ? MarkedToken.silent : 0)
        }
        let found = try run(marked, rules)
        #expect(found.0 == expected.0 && found.1 == expected.1)
        #expect(try run(windows, rules).1 != expected.1)
    }

    /// Against `Fixtures/make_document_fixtures.py`: PyTorch's autograd under Megatron's masks.
    @Test(
        arguments: ["none", "positions", "attention", "all", "distilled"],
        [false, true]
    )
    func lossAndGradientsEqualPyTorch(name: String, checkpointsActivations: Bool) throws {
        let (llama, fixture) = (try LlamaFixture(), try LlamaFixture("documents"))
        let parameters = try llama.parameters("distilled.weights", tied: false)
        let isDistilled = name == "distilled"
        let engine = try Self.engine(
            parameters,
            Self.rules(name),
            teacher: isDistilled ? llama.parameters("distilled.teacher", tied: false) : nil,
            objective: isDistilled
                ? .distillation(Distillation(crossEntropyWeight: 0.4, hiddenWeight: 0.5))
                : .crossEntropy,
            checkpointsActivations: checkpointsActivations
        )
        let tokens = try fixture.tokens("tokens")
        let result = try engine.step(tokens: tokens, learningRate: 0, progress: 0)
        #expect(abs(result.loss - (try fixture.number("\(name).loss"))) < 1e-5)
        if isDistilled {
            let parts = [result.divergence, result.crossEntropy, result.hiddenError]
            for (part, key) in zip(parts, ["divergence", "text", "hidden"]) {
                let wanted = try fixture.number("distilled.\(key)")
                #expect(abs(try #require(part) - wanted) < 1e-5, "\(key)")
            }
        }
        var expected = try fixture.vector("\(name).gradients")
        for entry in parameters.layout.entries {
            let found = try #require(engine.gradient(ofParameter: entry.name))
            let wanted = expected.prefix(entry.count)
            expected = expected.dropFirst(entry.count)
            #expect(relativeError(found, wanted) < 1e-4, "\(entry.name)")
        }
    }

    /// What is trained is what an evaluation under the same rules computes.
    @Test(arguments: ["none", "positions", "attention", "all"])
    func lossIsThatOfAnEvaluation(name: String) throws {
        let fixture = try LlamaFixture("documents")
        let parameters = try LlamaFixture().parameters("distilled.weights", tied: false)
        let tokens = try fixture.tokens("tokens")
        let evaluator = try PerplexityEvaluator(
            parameters: parameters,
            recipe: .none,
            length: 12,
            documents: Self.rules(name),
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        // A step's mean is over targets, an evaluation's over windows; one window has both.
        let window = Array(tokens[..<12])
        let expected = try evaluator.evaluate(tokens: window, windows: 1)
        #expect(expected.targetCount == (name == "all" ? 9 : 11))
        let engine = try Self.engine(parameters, Self.rules(name))
        let found = try engine.step(tokens: window + window, learningRate: 0, progress: 0).loss
        #expect(abs(found - expected.meanLoss) < 1e-6)
    }

    /// Not a bit of a document depends on another one's tokens, nor on how many threads there are; without
    /// the rule it does.
    @Test(arguments: [QuantizationRecipe.none, QuantizationRecipe(defaultFormat: .mxfp4)])
    func documentsDoNotTouch(recipe: QuantizationRecipe) throws {
        let parameters = try LlamaFixture().parameters("distilled.weights", tied: false)
        // Borders in the middle of tiles and of vectors; B's tokens are from 30 on.
        func window(_ seed: UInt64) -> [Int32] {
            var generator = SplitMix64(seed: seed)
            let other = (0..<69).map { _ in Int32.random(in: 6..<30, using: &generator) }
            let own = (0..<67).map { Int32(30 + ($0 * 7) % 34) }
            let last = (0..<12).map { _ in Int32.random(in: 6..<30, using: &generator) }
            return other + [Self.end] + own + [Self.end] + last
        }
        func states(_ seed: UInt64, _ rules: DocumentRules, threads: Int) throws -> [UInt32] {
            let device = CPUDevice(team: ThreadTeam(threadCount: threads))
            let weights = try LayerWeights(parameters: parameters, recipe: recipe, device: device)
            weights.setProgress(1)
            let pass = DecoderPass(window: 150, weights: weights, documents: rules)
            pass.forward(window(seed))
            let own = pass.finalNorm.rows(70..<138)
            var values = [Float](repeating: 0, count: own.count)
            device.download(own, into: &values)
            return values.map(\.bitPattern)
        }
        func gradients(_ seed: UInt64, _ rules: DocumentRules) throws -> [UInt32] {
            let engine = try TrainingEngine(
                parameters: parameters.copy(),
                teacher: nil,
                settings: .init(recipe: recipe, batchSize: 1, length: 150, documents: rules),
                isFrozen: { _ in false },
                device: CPUDevice(team: ThreadTeam(threadCount: 2))
            )
            _ = try engine.step(tokens: window(seed), learningRate: 0, progress: 1)
            let all = try #require(engine.gradient(ofParameter: "model.embed_tokens.weight"))
            let own = all[(30 * 32)...]
            #expect(own.contains { $0 != 0 })
            return own.map(\.bitPattern)
        }
        // What an end foretells is another document's token: only where that counts in no loss are gradients
        // a document's own.
        var placed = Self.all
        placed.resetsPositions = false
        for rules in [Self.all, placed] {
            #expect(try states(1, rules, threads: 1) == states(2, rules, threads: 2))
            #expect(try gradients(1, rules) == gradients(2, rules))
        }
        let open = DocumentRules(endToken: Self.end, resetsPositions: true)
        #expect(try states(1, open, threads: 1) != states(2, open, threads: 1))
        #expect(try gradients(1, open) != gradients(2, open))
    }

    /// As in Megatron: the step is taken with a gradient of 0, so that moments of 0 stay, and weights decay.
    @Test func aStepWithoutTargetsSaysSoAndDecaysWeights() throws {
        let parameters = try LlamaFixture().parameters("distilled.weights", tied: false)
        let before = withExtendedLifetime(parameters) { Array(parameters.storage.elements) }
        let engine = try TrainingEngine(
            parameters: parameters,
            teacher: nil,
            settings: .init(
                recipe: .none,
                optimizer: OptimizerConfiguration(weightDecay: 0.5),
                batchSize: 2,
                length: 12
            ),
            isFrozen: { _ in false },
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        )
        // The last token of a window has none behind it.
        var tokens = (0..<24).map { row -> Int32 in
            let token = Int32(row % 7 + 3)
            return row % 12 < 11 ? token | MarkedToken.silent : token
        }
        let nothing = try engine.step(tokens: tokens, learningRate: 0.01, progress: 0)
        #expect(nothing.targetCount == 0 && !nothing.hasLoss)
        #expect(nothing.loss == 0 && nothing.gradientNorm == 0)
        let after = withExtendedLifetime(engine.parameters) {
            Array(engine.parameters.storage.elements)
        }
        for (old, new) in zip(before, after) {
            // Norms and biases do not decay.
            #expect(new == old || abs(new - old * 0.995) <= 1e-6 * abs(old))
        }
        #expect(before != after)
        tokens[3] &= ~MarkedToken.silent
        tokens[20] &= ~MarkedToken.silent
        let two = try engine.step(tokens: tokens, learningRate: 0.01, progress: 0)
        #expect(two.targetCount == 2 && two.hasLoss && two.loss > 0)
    }

    /// A document in a window is what it is alone, but for the order in which sums are rounded.
    @Test func aDocumentInAWindowIsItselfAlone() throws {
        let parameters = try LlamaFixture().parameters("distilled.weights", tied: false)
        let device = CPUDevice(team: ThreadTeam(threadCount: 1))
        let weights = try LayerWeights(parameters: parameters, recipe: .none, device: device)
        let (first, second): ([Int32], [Int32]) = ([9, 8, 7, 6, 5], [11, 12, 13, 14, 15, 16, 17])
        func states(_ tokens: [Int32], _ rows: Range<Int>) -> [Float] {
            let pass = DecoderPass(window: tokens.count, weights: weights, documents: Self.all)
            pass.forward(tokens)
            let found = pass.finalNorm.rows(rows)
            var values = [Float](repeating: 0, count: found.count)
            device.download(found, into: &values)
            return values
        }
        let packed = states(first + second, 5..<12)
        #expect(relativeError(packed, states(second, 0..<7)) < 1e-6)
    }

    /// Masks and positions of Megatron-Core itself, of the same windows.
    @Test func marksAreMegatrons() throws {
        let device = CPUDevice(team: ThreadTeam(threadCount: 1))
        let windows: [Int32] = [
            5, 6, 0, 7, 8, 9, 0, 4, 0, 0, 3, 4, 5, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 0,
        ]
        let rules = DocumentRules(endToken: 0, resetsPositions: true, resetsAttention: true)
        let marks = try #require(DocumentMarks(rules, rows: 24, length: 8, device: device))
        marks.set(windows)
        func values(_ tensor: DeviceTensor?) throws -> [Int32] {
            var values = [Int32](repeating: -1, count: 24)
            device.download(try #require(tensor), into: &values)
            return values
        }
        // `masks` of corpus.json, see ModelFilesTests/Fixtures/make_corpus_fixtures.py.
        #expect(
            try values(marks.positions) == [
                0, 1, 2, 0, 1, 2, 3, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7,
            ]
        )
        #expect(
            try values(marks.starts) == [
                0, 0, 0, 3, 3, 3, 3, 7, 0, 1, 2, 2, 2, 2, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0,
            ]
        )
        let rows = LossRows(rows: 24, length: 8, DocumentRules(endToken: 0, masksLoss: true))
        rows.set(windows)
        let counts = rows.count(windows, windows: 3)
        #expect(counts.rows == 17 && counts.targets == 15)
        var runs: [Range<Int>] = []
        rows.forEachRun(in: 1..<12) { run, counts in if counts { runs.append(run) } }
        #expect(runs == [1..<2, 3..<6, 7..<8, 10..<12])
        #expect(DocumentMarks(nil, rows: 8, length: 8, device: device) == nil)
        let loss = DocumentRules(endToken: 0, masksLoss: true)
        #expect(DocumentMarks(loss, rows: 8, length: 8, device: device) == nil)
    }
}
