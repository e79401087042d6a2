internal import Formats
public import JobSpecs
internal import Kernels
public import Transformer

extension MemoryPlan {
    /// What a training job takes on a worker with `threads` threads.
    ///
    /// `teacher`: The teacher's shape, if the job names another model.
    public init(
        _ spec: TrainSpec,
        model: ModelConfiguration,
        teacher: ModelConfiguration?,
        threads: Int
    ) {
        self.init(
            training: model,
            Training(
                recipe: spec.quantization.recipe,
                distillation: spec.distillation.map(Distillation.init),
                teacher: teacher,
                batchSize: spec.trainer.microBatchSize,
                length: spec.data.sequenceLength,
                checkpointsActivations: spec.trainer.checkpointsActivations,
                operands: spec.trainer.hasMixedPrecision ? .bfloat16 : .float32,
                moments: MomentPrecision(spec.optimizer.moments),
                threads: threads
            ),
            isFrozen: { name in spec.frozen.contains { $0.matches(name) } }
        )
    }
}

extension MomentPrecision {
    /// What a job's word means.
    public init(_ word: OptimizerOptions.Moments) {
        switch word {
        case .float32: self = .float32
        case .bfloat16: self = .bfloat16
        }
    }
}
