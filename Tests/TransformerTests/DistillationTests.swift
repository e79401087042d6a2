internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Whole steps of distillation against PyTorch; see `Fixtures/make_divergence_fixtures.py`.
struct DistillationTests {
    private static let tolerance = 1e-4

    private static func engine(
        _ distillation: Distillation,
        accumulation: Int = 1,
        records: (any TeacherRecords)? = nil,
        device: any ComputeDevice = CPUDevice(team: ThreadTeam(threadCount: 2))
    ) throws -> TrainingEngine {
        let fixture = try LlamaFixture()
        return try TrainingEngine(
            parameters: try fixture.parameters("distilled.weights", tied: false),
            teacher: try fixture.parameters("distilled.teacher", tied: false),
            settings: .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                objective: .distillation(distillation),
                batchSize: 2 / accumulation,
                accumulation: accumulation,
                length: 12
            ),
            isFrozen: { _ in false },
            records: records,
            device: device
        )
    }

    private static let cases: [(String, Distillation)] = [
        ("reverse", Distillation(divergence: .reverse, temperature: 2)),
        ("mixed", Distillation(divergence: .jensenShannon(beta: 0.3), crossEntropyWeight: 0.25)),
        ("hidden", Distillation(crossEntropyWeight: 0.25, hiddenWeight: 0.5)),
        ("top", Distillation(temperature: 2, topCount: 7)),
    ]

    @Test(arguments: cases, [1, 2])
    func stepEqualsPyTorch(test: (key: String, distillation: Distillation), batches: Int) throws {
        let fixture = try LlamaFixture("distillation")
        let engine = try Self.engine(test.distillation, accumulation: batches)
        let tokens = try LlamaFixture().tokens("distilled.tokens")
        let result = try engine.step(tokens: tokens, learningRate: 0, progress: 0)
        func isNear(_ found: Double?, _ part: String) throws -> Bool {
            let expected = try fixture.number("\(test.key).\(part)")
            return abs(try #require(found) - expected) <= Self.tolerance * expected
        }
        #expect(try isNear(result.loss, "loss"))
        let hasParts = test.key == "mixed" || test.key == "hidden"
        #expect(try !hasParts || isNear(result.divergence, "divergence"))
        #expect(try !hasParts || isNear(result.crossEntropy, "cross_entropy"))
        #expect(try test.key != "hidden" || isNear(result.hiddenError, "hidden"))
        #expect(hasParts || result.divergence == nil && result.crossEntropy == nil)
        #expect(test.key == "hidden" || result.hiddenError == nil)
        let expected = try fixture.vector("\(test.key).gradients")
        for entry in engine.parameters.layout.entries {
            let found = try #require(engine.gradient(ofParameter: entry.name))
            let start = expected.startIndex + entry.offset
            let error = relativeError(found, expected[start..<start + entry.count])
            #expect(error <= Self.tolerance, "\(entry.name)")
        }
        let norms = engine.gradientNorms
        for entry in engine.parameters.layout.entries where entry.name.hasSuffix(".weight") {
            let start = expected.startIndex + entry.offset
            let norm = expected[start..<start + entry.count]
                .reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            let found = try #require(norms[entry.module])
            #expect(abs(found - norm) <= Self.tolerance * norm, "\(entry.name)")
        }
    }

    /// What is asked of a device, step by step, allocates nothing and waits for the loss alone, whatever
    /// the loss has beside the divergence.
    @Test func stepsAskForTheSameAndWaitForTheLossAlone() throws {
        for (distillation, sums) in [
            (Distillation(), "1x3"), (Self.cases[1].1, "3x3"), (Self.cases[2].1, "3x3"),
        ] {
            let device = RecordingDevice(CPUDevice(team: ThreadTeam(threadCount: 2)))
            let engine = try Self.engine(distillation, device: device)
            let tokens = try LlamaFixture().tokens("distilled.tokens")
            let steps = try (0..<3).map { _ in
                device.clear()
                _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
                return device.lines
            }
            #expect(steps[1] == steps[0] && steps[2] == steps[0])
            #expect(!steps[0].contains { $0.hasPrefix("allocate") || $0.hasPrefix("settle") })
            #expect(steps[0].filter { $0.hasPrefix("download") } == ["download \(sums)"])
        }
    }

    /// The default asks a device for what it always did: a divergence of each chunk, and nothing else of
    /// the size of its logits than two products and their gradients.
    @Test func theDefaultHasNoOtherParts() throws {
        func lines(_ distillation: Distillation) throws -> [String] {
            let device = RecordingDevice(CPUDevice(team: ThreadTeam(threadCount: 1)))
            let engine = try Self.engine(distillation, device: device)
            device.clear()
            let tokens = try LlamaFixture().tokens("distilled.tokens")
            _ = try engine.step(tokens: tokens, learningRate: 1e-3, progress: 0)
            return device.lines.filter { $0.contains("24x64") || $0.contains("Error") }
        }
        let plain = try lines(Distillation())
        #expect(plain.filter { $0.hasPrefix("divergence") } == ["divergence 24x64 forward"])
        let others = ["crossEntropy", "copy 24x64 64", "add 24x64", "hiddenError"]
        #expect(!plain.contains { line in others.contains { line.hasPrefix($0) } }, "\(plain)")
        let mixed = try lines(Self.cases[2].1)
        #expect(mixed.filter { $0.hasPrefix("hiddenError") }.count == 2)
        #expect(mixed.contains { $0.hasPrefix("crossEntropy 24x64") })
    }

    /// With as many tokens as there are, what is learned is the divergence itself.
    @Test func allTokensAreTheDivergence() throws {
        let tokens = try LlamaFixture().tokens("distilled.tokens")
        let whole = try Self.engine(Distillation())
        let top = try Self.engine(Distillation(topCount: 64))
        let expected = try whole.step(tokens: tokens, learningRate: 0, progress: 0)
        let found = try top.step(tokens: tokens, learningRate: 0, progress: 0)
        #expect(abs(found.loss - expected.loss) <= 1e-6 * expected.loss)
        for entry in top.parameters.layout.entries {
            let error = relativeError(
                try #require(top.gradient(ofParameter: entry.name)),
                try #require(whole.gradient(ofParameter: entry.name))
            )
            #expect(error <= 1e-4, "\(entry.name)")
        }
    }

    /// Records in memory.
    private final class Memory: TeacherRecords {
        var known: [[Int32]: (tokens: [Int32], values: [Float])] = [:]
        var hits = 0

        func read(
            _ window: UnsafeBufferPointer<Int32>,
            tokens: UnsafeMutableBufferPointer<Int32>,
            values: UnsafeMutableBufferPointer<Float>
        ) -> Bool {
            guard let found = known[Array(window)] else { return false }
            hits += 1
            _ = tokens.update(fromContentsOf: found.tokens)
            _ = values.update(fromContentsOf: found.values)
            return true
        }

        func write(
            _ window: UnsafeBufferPointer<Int32>,
            tokens: UnsafeBufferPointer<Int32>,
            values: UnsafeBufferPointer<Float>
        ) {
            known[Array(window)] = (Array(tokens), Array(values))
        }
    }

    /// Windows that come again cost no teacher, and change nothing: not the loss, and no weight.
    @Test func recordsStandForTheTeacher() throws {
        let tokens = try LlamaFixture().tokens("distilled.tokens")
        let other = tokens.prefix(12) + tokens.suffix(12).reversed()
        let memory = Memory()
        let device = RecordingDevice(CPUDevice(team: ThreadTeam(threadCount: 2)))
        let distillation = Distillation(temperature: 2, crossEntropyWeight: 0.1, topCount: 5)
        let first = try Self.engine(distillation, records: memory, device: device)
        let plain = try Self.engine(distillation)
        var lines: [[String]] = []
        // New, all known, half known, all known.
        for batch in [tokens, tokens, Array(other), Array(other)] {
            device.clear()
            let found = try first.step(tokens: batch, learningRate: 1e-3, progress: 0)
            let expected = try plain.step(tokens: batch, learningRate: 1e-3, progress: 0)
            #expect(found == expected)
            lines.append(device.lines)
        }
        #expect(
            first.parameters.storage.elements.elementsEqual(plain.parameters.storage.elements)
        )
        #expect(memory.known.count == 3 && memory.hits == 5)
        let asked = lines.map { $0.contains { $0.hasPrefix("findTopOutcomes") } }
        #expect(asked == [true, false, true, false])
        func products(_ lines: [String]) -> Int { lines.filter { $0.hasPrefix("multiply") }.count }
        // Seven products for each of two layers, and the head.
        #expect(products(lines[0]) - products(lines[1]) == 15)
        #expect(lines[1] == lines[3])
        #expect(!lines.joined().contains { $0.hasPrefix("allocate") })
    }

    @Test func whatCannotBeKeptIsRefused() throws {
        for distillation in [
            Distillation(topCount: 65), Distillation(topCount: 0),
            Distillation(hiddenWeight: 1, topCount: 5),
        ] {
            let error = #expect(throws: TransformerError.self) { try Self.engine(distillation) }
            #expect(error?.code == .invalidRecipe)
        }
    }

    @Test func hiddenStatesOfAnotherShapeAreRefused() throws {
        let student = tinyConfiguration(layers: 2)
        let error = #expect(throws: TransformerError.self) {
            try TrainingEngine(
                parameters: try Parameters.random(configuration: student, seed: 1),
                teacher: try Parameters.random(
                    configuration: tinyConfiguration(layers: 3),
                    seed: 1
                ),
                settings: .init(
                    recipe: .none,
                    objective: .distillation(Distillation(hiddenWeight: 1)),
                    batchSize: 1,
                    length: 4
                ),
                isFrozen: { _ in false },
                device: CPUDevice(team: ThreadTeam(threadCount: 1))
            )
        }
        #expect(error?.code == .parameterMismatch)
        #expect(error?.message.contains("3 layers of width 32, the student 2 of 32") == true)
    }
}
