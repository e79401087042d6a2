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
                operands: spec.trainer.hasMixedPrecision ? .bfloat16 : .float32,
                threads: threads
            ),
            isFrozen: { name in spec.frozen.contains { $0.matches(name) } }
        )
    }
}
