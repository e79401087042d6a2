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
    /// `tokenCount`: Tokens of the training text, or more; nil where it is not known yet.
    public init?(_ spec: TrainSpec, tokenCount: Int?) {
        guard let count = spec.distillation?.topCount else { return nil }
        let run = spec.runLength(tokenCount: tokenCount)
        let windows =
            spec.data.repeatsWindows ? min(run.windows, run.windowsPerEpoch ?? .max) : run.windows
        recordByteCount = Self.recordByteCount(length: spec.data.sequenceLength, count: count)
        guard windows < .max / recordByteCount else { return nil }
        self.windows = windows
    }

    /// A key, the window's tokens, the most likely ones of each position with their log-probabilities and
    /// that of the rest, and a digest.
    public static func recordByteCount(length: Int, count: Int) -> Int {
        8 + 4 * length * (2 + 2 * count) + 32
    }
}
