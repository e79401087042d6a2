internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// A teacher whose weights are given back once products read them in a form of their own.
struct TeacherReleaseTests {
    /// A training, by what its teacher and student share.
    struct Kind: CustomTestStringConvertible, Sendable {
        var name: String
        var tied = true
        var freezesEmbedding = true
        var recipe = QuantizationRecipe(defaultFormat: .mxfp4)
        var distillation = Distillation()
        var copiesHost = false
        var checkpoints = false

        var testDescription: String { name }
    }

    private static let kinds = [
        Kind(name: "tied, frozen"), Kind(name: "tied, trained", freezesEmbedding: false),
        Kind(name: "untied, frozen", tied: false),
        Kind(name: "untied, trained", tied: false, freezesEmbedding: false),
        Kind(
            name: "a rounded head",
            recipe: QuantizationRecipe(
                defaultFormat: .mxfp4,
                rules: [.init(pattern: "*embed_tokens", format: .mxfp8)]
            )
        ),
        Kind(
            name: "stages, one with a rounded head",
            tied: false,
            recipe: QuantizationRecipe(
                defaultFormat: .mxfp4,
                rules: [.init(pattern: "lm_head", format: .mxfp8)],
                stages: [.init(until: 0.5, format: .mxfp8), .init(until: 1, format: .mxfp4)]
            )
        ),
        Kind(
            name: "hidden states",
            distillation: Distillation(crossEntropyWeight: 0.2, hiddenWeight: 1)
        ),
        Kind(name: "most likely tokens", distillation: Distillation(topCount: 5)),
        Kind(name: "a device's own memory", copiesHost: true),
        Kind(name: "layers computed again", checkpoints: true),
    ]

    private static let tokens: [Int32] = (0..<32).map { index in
        let token: Int = (index * 7 + index / 5) % 16
        return Int32(token)
    }

    private static func parameters(_ kind: Kind) throws -> Parameters {
        var configuration = tinyConfiguration()
        configuration.tiedEmbeddings = kind.tied
        return try Parameters.random(configuration: configuration, seed: 3, deviation: 0.1)
    }

    private static func engine(
        _ kind: Kind,
        _ operands: OperandPrecision,
        _ student: Parameters,
        teacher: Parameters,
        adapters: AdapterConfiguration? = nil
    ) throws -> TrainingEngine {
        try TrainingEngine(
            parameters: student,
            teacher: teacher,
            settings: .init(
                recipe: kind.recipe,
                objective: .distillation(kind.distillation),
                batchSize: 2,
                length: 16,
                checkpointsActivations: kind.checkpoints,
                adapters: adapters
            ),
            isFrozen: {
                kind.freezesEmbedding && ($0.contains("embed") || $0.contains("lm_head"))
            },
            device: RecordingDevice(
                CPUDevice(team: ThreadTeam(threadCount: 2), operands: operands),
                copiesHost: kind.copiesHost
            )
        )
    }

    private static func run(_ engine: TrainingEngine) throws -> (
        losses: [Double], weights: [Float]
    ) {
        let losses = try (0..<4).map { step in
            try engine.step(
                tokens: Self.tokens,
                learningRate: 1e-2,
                progress: Double(step) / 4
            ).loss
        }
        return (losses, Array(engine.parameters.storage.elements))
    }

    @Test(arguments: kinds, [OperandPrecision.float32, .bfloat16])
    func changesNoBit(kind: Kind, operands: OperandPrecision) throws {
        let model = try Self.parameters(kind)
        let whole = try Self.engine(kind, operands, try model.copy(), teacher: try model.copy())
        let expected = try Self.run(whole)
        let engine = try Self.engine(kind, operands, try model.copy(), teacher: model)
        engine.releaseTeacher()
        let found = try Self.run(engine)
        #expect(found.losses == expected.losses)
        #expect(found.weights == expected.weights)
        #expect(Set(expected.losses).count == 4)
    }

    /// Of linear layers where they are prepared; of embedding and head where the student's stay.
    @Test(arguments: [true, false], [OperandPrecision.float32, .bfloat16])
    func givesBackWhatIsNotRead(isFrozen: Bool, operands: OperandPrecision) throws {
        let isPrepared = operands == .bfloat16 && operands.isSupported
        for tied in [true, false] {
            let kind = Kind(name: "", tied: tied, freezesEmbedding: isFrozen)
            let model = try Self.parameters(kind)
            let engine = try Self.engine(kind, operands, try model.copy(), teacher: model)
            engine.releaseTeacher()
            let layout = model.layout
            for entry in layout.entries {
                let isLinear = layout.module(of: entry) != nil
                let isGone =
                    isLinear
                    ? isPrepared
                    : entry == layout.embedding
                        ? isFrozen : entry == layout.head && (isFrozen || isPrepared)
                #expect(model.holds(entry) == !isGone, "\(entry.name), tied \(tied)")
            }
        }
    }

    /// A student that began elsewhere has another embedding, which says nothing of the teacher's.
    @Test(arguments: [OperandPrecision.float32, .bfloat16])
    func borrowsOnlyWhatIsTheSame(operands: OperandPrecision) throws {
        let kind = Kind(name: "")
        let model = try Self.parameters(kind)
        let student = try model.copy()
        student.storage.pointer[7] += 0.5
        let whole = try Self.engine(kind, operands, try student.copy(), teacher: try model.copy())
        let engine = try Self.engine(kind, operands, student, teacher: model)
        engine.releaseTeacher()
        #expect(model.holds(model.layout.embedding))
        let (found, expected) = (try Self.run(engine), try Self.run(whole))
        #expect(found.losses == expected.losses)
        #expect(found.weights == expected.weights)
    }

    /// What adapters are added to is read after every step.
    @Test func leavesTheBaseOfAdapters() throws {
        let kind = Kind(name: "")
        let model = try Self.parameters(kind)
        let adapters = AdapterConfiguration(rank: 2, scale: 4, seed: 3)
        let engine = try Self.engine(kind, .bfloat16, model, teacher: model, adapters: adapters)
        engine.releaseTeacher()
        #expect(model.isWhole)
        let whole = try Self.engine(
            kind,
            .bfloat16,
            try model.copy(),
            teacher: try model.copy(),
            adapters: adapters
        )
        #expect(try Self.run(engine).weights == Self.run(whole).weights)
    }

    /// Whole pages go; the parameters beside a released one keep their values.
    @Test func memoryGoesBackToTheSystem() throws {
        var configuration = tinyConfiguration(layers: 1)
        configuration.vocabularySize = 4096
        let parameters = try Parameters.random(configuration: configuration, seed: 1)
        let (embedding, others) = (
            parameters.layout.embedding, parameters.layout.entries.dropFirst()
        )
        let before = others.map { Array(parameters.elements(of: $0)) }
        let middle = parameters.storage.pointer + embedding.offset + embedding.count / 2
        #expect(middle.pointee != 0)
        parameters.release([embedding])
        #expect(!parameters.isWhole && !parameters.holds(embedding))
        #if os(Linux)
            #expect(middle.pointee == 0)
        #endif
        #expect(others.map { Array(parameters.elements(of: $0)) } == before)
    }
}
