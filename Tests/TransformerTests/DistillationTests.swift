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
            device: device
        )
    }

    private static let cases: [(String, Distillation)] = [
        ("reverse", Distillation(divergence: .reverse, temperature: 2)),
        ("mixed", Distillation(divergence: .jensenShannon(beta: 0.3), crossEntropyWeight: 0.25)),
        ("hidden", Distillation(crossEntropyWeight: 0.25, hiddenWeight: 0.5)),
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
        let hasParts = test.key != "reverse"
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
