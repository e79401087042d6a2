internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

/// What a plan says a training takes, beside what an engine asks its device for.
struct MemoryPlanTests {
    private static func configuration() -> ModelConfiguration {
        var configuration = tinyConfiguration()
        configuration.architecture.logitSoftCap = 30
        return configuration
    }

    /// What steps take, whether or not what comes before them takes more.
    private static func steps(
        _ model: ModelConfiguration,
        _ training: MemoryPlan.Training,
        isFrozen: (String) -> Bool = { _ in false }
    ) throws -> MemoryPlan {
        let plans = MemoryPlan.phases(training: model, training, isFrozen: isFrozen)
        return try #require(plans.first { $0.phase == .training })
    }

    /// All that an engine allocates is in the plan, but for some kilobytes of tables and targets.
    @Test(
        arguments: [
            nil, Distillation(), Distillation(crossEntropyWeight: 0.5),
            Distillation(divergence: .reverse, crossEntropyWeight: 0.1, hiddenWeight: 1),
            Distillation(topCount: 20),
        ],
        [1, 2, 3]
    )
    func namesWhatAnEngineAllocates(distillation: Distillation?, batch: Int) throws {
        // The largest batch keeps inputs only, the one before multiplies and keeps BF16.
        let checkpoints = batch > 2
        let operands = batch == 2 ? OperandPrecision.bfloat16 : .float32
        let configuration = Self.configuration()
        let recipe = QuantizationRecipe(
            defaultFormat: .mxfp4,
            rules: [.init(pattern: "*embed_tokens", format: .mxfp8)]
        )
        let device = RecordingDevice(
            CPUDevice(team: ThreadTeam(threadCount: 1), operands: operands)
        )
        let parameters = try Parameters.random(configuration: configuration, seed: 1)
        let isFrozen: (String) -> Bool = { $0.contains("embed_tokens") }
        _ = try TrainingEngine(
            parameters: parameters,
            teacher: distillation == nil ? nil : parameters,
            settings: .init(
                recipe: recipe,
                objective: distillation.map { .distillation($0) } ?? .crossEntropy,
                batchSize: batch,
                length: 100,
                checkpointsActivations: checkpoints
            ),
            isFrozen: isFrozen,
            device: device
        )
        let plan = try Self.steps(
            configuration,
            .init(
                recipe: recipe,
                distillation: distillation,
                batchSize: batch,
                length: 100,
                checkpointsActivations: checkpoints,
                operands: operands,
                threads: 1
            ),
            isFrozen: isFrozen
        )
        let allocated = device.lines.compactMap { line in
            line.hasPrefix("allocate ") ? Int(line.dropFirst("allocate ".count)) : nil
        }.reduce(0, +)
        // The host's buffers are adopted, scratch grows as operations run, validation comes later.
        let others = [
            "the student's weights", "the teacher's weights", "moments", "attention and products",
            "validation", "the teacher cache's buffers",
        ]
        let planned = plan.parts.filter { !others.contains($0.name) }
            .reduce(0) { $0 + $1.byteCount }
        // Rotary tables, tokens and targets, the teacher's weights in their rounding's place.
        let rest = 2 * 100 * 8 * 4 * 2 + 4 * batch * 100 * 3 + 64 * 1024
        #expect(allocated >= planned - 64 && allocated <= planned + rest, "\(plan.parts)")
    }

    /// By hand: every parameter takes four bytes as the student's, as a gradient and in each of two moments.
    ///
    /// The model as it came is gone by then.
    @Test func weightsGradientsAndMomentsAreSixteenBytesPerParameter() {
        let configuration = ModelConfiguration.smolLM2With135MParameters
        let plan = MemoryPlan(
            training: configuration,
            .init(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                distillation: nil,
                batchSize: 1,
                length: 2,
                threads: 1
            ),
            isFrozen: { _ in false }
        )
        let names = ["the student's weights", "gradients", "moments"]
        let found = plan.parts.filter { names.contains($0.name) }.reduce(0) { $0 + $1.byteCount }
        #expect(found == 16 * 134_515_008)
        #expect(plan.phase == .training)
        #expect(!plan.parts.contains { $0.name == "the model as it came" })
        #expect(!plan.parts.contains { $0.name.contains("teacher") })
    }

    /// Two bytes of each of two moments instead of four.
    @Test func halfMomentsAreFourBytesPerParameter() {
        func moments(_ precision: MomentPrecision) -> Int? {
            MemoryPlan(
                training: .smolLM2With135MParameters,
                .init(
                    recipe: .none,
                    distillation: nil,
                    batchSize: 1,
                    length: 2,
                    moments: precision,
                    threads: 1
                ),
                isFrozen: { _ in false }
            ).parts.first { $0.name == "moments" }?.byteCount
        }
        #expect(moments(.float32) == 8 * 134_515_008)
        #expect(moments(.bfloat16) == 4 * 134_515_008)
    }

    /// A byte per block on the host and on the device; four FP32 numbers where scales are learned.
    @Test func scalesThatDoNotFollowTakeTheirBytes() {
        func scales(_ source: ScaleSource) -> Int? {
            MemoryPlan(
                training: .smolLM2With135MParameters,
                .init(
                    recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                    distillation: nil,
                    batchSize: 1,
                    length: 2,
                    scales: source,
                    threads: 1
                ),
                isFrozen: { $0.contains("layers.7.") }
            ).parts.first { $0.name == "scales of weights" }?.byteCount
        }
        let layer = (2 * 576 * 576 + 2 * 192 * 576 + 3 * 576 * 1536) / 32
        #expect(scales(.followed) == nil)
        #expect(scales(.kept) == 30 * layer * 2)
        #expect(scales(.learned) == 30 * layer * 2 + 29 * layer * 16)
    }

    /// What an engine with adapters allocates, beside what the host lends it.
    @Test(arguments: [StraightThrough.identity, .clip])
    func namesWhatAdaptersAllocate(estimator: StraightThrough) throws {
        let configuration = Self.configuration()
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4, straightThrough: estimator)
        let adapters = AdapterConfiguration(rank: 5, scale: 1) { !$0.hasSuffix("k_proj") }
        let device = RecordingDevice(CPUDevice(team: ThreadTeam(threadCount: 1)))
        _ = try TrainingEngine(
            parameters: try Parameters.random(configuration: configuration, seed: 1),
            teacher: nil,
            settings: .init(recipe: recipe, batchSize: 2, length: 100, adapters: adapters),
            isFrozen: { _ in false },
            device: device
        )
        let plan = try Self.steps(
            configuration,
            .init(
                recipe: recipe,
                distillation: nil,
                batchSize: 2,
                length: 100,
                adapters: adapters,
                threads: 1
            )
        )
        let allocated = device.lines.compactMap { line in
            line.hasPrefix("allocate ") ? Int(line.dropFirst("allocate ".count)) : nil
        }.reduce(0, +)
        let others = [
            "the model as it came", "the student's weights", "what adapters are added to",
            "adapters", "moments", "attention and products", "validation",
        ]
        let planned = plan.parts.filter { !others.contains($0.name) }
            .reduce(0) { $0 + $1.byteCount }
        #expect(allocated >= planned - 64 && allocated <= planned + 80 * 1024, "\(plan.parts)")
        #expect(plan.parts.contains { $0.name == "products of adapters" })
    }

    private static func adapting(
        _ adapters: AdapterConfiguration?,
        sharesBase: Bool
    ) -> MemoryPlan.Training {
        .init(
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            distillation: nil,
            batchSize: 1,
            length: 2,
            adapters: adapters,
            sharesBase: sharesBase,
            threads: 1
        )
    }

    /// Sixteen bytes a parameter without adapters; eight, and what adapters take, with them, whether they are
    /// added to the model's own weights or to others: then it is before the first step that there are three
    /// models.
    @Test func adaptersSaveGradientsAndMoments() throws {
        func bytes(_ adapters: AdapterConfiguration?, sharesBase: Bool = false) throws -> Int {
            let names = [
                "the model as it came", "the student's weights", "what adapters are added to",
                "gradients", "moments",
            ]
            return try Self.steps(
                .smolLM2With135MParameters,
                Self.adapting(adapters, sharesBase: sharesBase)
            ).parts.filter { names.contains($0.name) }.reduce(0) { $0 + $1.byteCount }
        }
        let count = 134_515_008
        // A and B of rank 8: queries, keys and values, output, gate and up, down.
        let adapted = 30 * 8 * (4 * 576 + 2 * (576 + 192) + 3 * (576 + 1536))
        let adapters = AdapterConfiguration(rank: 8, scale: 1)
        #expect(try bytes(nil) == 16 * count)
        #expect(try bytes(adapters, sharesBase: true) == 8 * count + 12 * adapted)
        #expect(try bytes(adapters) == 8 * count + 12 * adapted)
        let plan = MemoryPlan(
            training: .smolLM2With135MParameters,
            Self.adapting(adapters, sharesBase: false),
            isFrozen: { _ in false }
        )
        #expect(plan.phase == .preparing)
        #expect(plan.byteCount >= 12 * count && plan.byteCount < 13 * count)
        let layout = ParameterLayout(configuration: .smolLM2With135MParameters)
        let size = adapters.size(in: layout)
        #expect(size.weights == 210 && size.parameters == adapted)
    }

    /// By hand, of 134,515,008 parameters of which 28,311,552 are the embedding: what is left of a teacher.
    @Test(arguments: [OperandPrecision.float32, .bfloat16], [true, false])
    func whatIsLeftOfATeacher(operands: OperandPrecision, isFrozen: Bool) throws {
        func part(_ name: String, _ startsAtModel: Bool = true) throws -> Int? {
            try Self.steps(
                .smolLM2With135MParameters,
                .init(
                    recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                    distillation: Distillation(),
                    startsAtModel: startsAtModel,
                    batchSize: 1,
                    length: 2,
                    operands: operands,
                    threads: 1
                ),
                isFrozen: { isFrozen && $0.contains("embed") }
            ).parts.first { $0.name == name }?.byteCount
        }
        let (count, embedding, norms) = (134_515_008, 49152 * 576, 61 * 576)
        let isPrepared = operands == .bfloat16 && operands.isSupported
        let left = isPrepared ? embedding + norms : count
        #expect(try part("the teacher's weights") == 4 * (left - (isFrozen ? embedding : 0)))
        #expect(try part("the teacher's weights", false) == 4 * left)
        #expect(try part("the model as it came") == nil)
        let prepared = try part("the teacher's in that form")
        let linear = count - norms - (isFrozen ? embedding : 0)
        #expect(prepared == (isPrepared ? 2 * linear : nil))
    }

    @Test func whatIsFrozenTakesNoGradient() throws {
        let plan = try Self.steps(
            Self.configuration(),
            .init(
                recipe: .none,
                distillation: Distillation(),
                batchSize: 1,
                length: 2,
                threads: 1
            ),
            isFrozen: { _ in true }
        )
        #expect(!plan.parts.contains { $0.name == "gradients" || $0.name == "moments" })
        #expect(plan.parts.contains { $0.name == "the teacher's activations" })
    }
}
