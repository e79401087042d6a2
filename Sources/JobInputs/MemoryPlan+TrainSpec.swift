internal import Formats
public import JobSpecs
internal import Kernels
public import Transformer

extension MemoryPlan {
    /// What a training job takes on a worker with `threads` threads.
    ///
    /// `model`: As it comes. `teacher`: The teacher's shape, if the job names another model.
    public init(
        _ spec: TrainSpec,
        model: ModelConfiguration,
        teacher: ModelConfiguration?,
        threads: Int
    ) {
        self.init(
            training: spec.student(of: model),
            Training(
                recipe: spec.quantization.recipe,
                distillation: spec.distillation.map(Distillation.init),
                teacher: teacher,
                startsAtModel: spec.startsAtModel,
                batchSize: spec.trainer.microBatchSize,
                length: spec.data.sequenceLength,
                checkpointsActivations: spec.trainer.checkpointsActivations,
                operands: spec.trainer.hasMixedPrecision ? .bfloat16 : .float32,
                rule: .init(spec.optimizer.name),
                moments: MomentPrecision(spec.optimizer.moments),
                averagesWeights: spec.trainer.averageDecay != nil,
                scales: spec.quantization.scales,
                adapters: spec.lora.map { AdapterConfiguration($0, seed: spec.seed) },
                sharesBase: spec.sharesBase,
                freezesFlips: spec.quantization.flipThreshold != nil,
                threads: threads
            ),
            isFrozen: { name in spec.frozen.contains { $0.matches(name) } }
        )
    }

    /// `3.1 GB of memory while training: the student's weights 538.1 MB, …`.
    public var sentence: String {
        "\(Self.text(byteCount)) of memory \(phase.rawValue): \(list)"
    }

    /// The parts with their sizes.
    var list: String {
        parts.map { "\($0.name) \(Self.text($0.byteCount))" }.joined(separator: ", ")
    }

    /// Bytes as people read them: ``ByteCount/text(_:)``.
    public static func text(_ byteCount: Int) -> String { ByteCount.text(UInt64(byteCount)) }
}

extension TrainSpec {
    /// Whether the student begins with the model's own embedding and head: they come from no other model,
    /// and no method rounds them.
    var startsAtModel: Bool {
        switch start {
        case nil: true
        case .model: false
        case .method:
            ![ParameterLayout.embeddingModule, ParameterLayout.headModule]
                .contains(where: quantization.recipe.rounds(module:))
        }
    }

    /// Whether adapters are added to the model's own weights and scales, as it came.
    public var sharesBase: Bool {
        lora != nil && start == nil && quantization.scales == .followed
    }
}

extension AdapterConfiguration {
    /// What a job's section means.
    public init(_ options: LowRankOptions, seed: UInt64) {
        self.init(rank: options.rank, scale: Float(options.scale), seed: seed) { module in
            options.isTarget(module)
        }
    }
}

extension MomentPrecision {
    /// What a job's word means.
    public init(_ word: OptimizerOptions.Moments) {
        switch word {
        case .float32: self = .float32
        case .bfloat16: self = .bfloat16
        case .int8: self = .int8
        }
    }
}

extension OptimizerConfiguration.Rule {
    /// What a job's word means.
    public init(_ word: OptimizerOptions.Name) {
        switch word {
        case .adamW: self = .adamW
        case .lion: self = .lion
        }
    }
}
