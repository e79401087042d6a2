public import JobSpecs

/// How much of a teacher's answers a training keeps on its worker's disk.
public struct TeacherCachePlan: Sendable, Equatable {
    /// Most windows that are kept.
    public let windows: Int
    /// Bytes of one window's record.
    public let recordByteCount: Int

    /// Bytes of all, at most; the file's first forty come on top.
    public var byteCount: Int { windows * recordByteCount }

    /// The plan of a job that keeps any; nil where nothing bounds it.
    ///
    /// `tokenCount`: Tokens of the training text, or more. `steps`: Steps of the run, or more; nil for
    /// what the job says.
    public init?(_ spec: TrainSpec, tokenCount: Int?, steps: Int? = nil) {
        guard let count = spec.distillation?.topCount else { return nil }
        let length = spec.data.sequenceLength
        let perStep = spec.trainer.microBatchSize * spec.trainer.accumulatedBatches
        let perEpoch = tokenCount.map { max($0 / length, 1) }
        let epochSteps = perEpoch.map {
            Self.product(max($0 / perStep, 1), spec.trainer.maximumEpochs)
        }
        let steps = steps ?? min(spec.trainer.maximumSteps ?? .max, epochSteps ?? .max)
        let drawn = Self.product(steps, perStep)
        let windows = spec.data.repeatsWindows ? min(drawn, perEpoch ?? .max) : drawn
        recordByteCount = Self.recordByteCount(length: length, count: count)
        guard windows < .max / recordByteCount else { return nil }
        self.windows = windows
    }

    /// A key, the window's tokens, the most likely ones of each position with their log-probabilities and
    /// that of the rest, and a digest.
    public static func recordByteCount(length: Int, count: Int) -> Int {
        8 + 4 * length * (2 + 2 * count) + 32
    }

    private static func product(_ a: Int, _ b: Int) -> Int {
        let (product, isHuge) = a.multipliedReportingOverflow(by: b)
        return isHuge ? .max : product
    }
}
