internal import CKernels

/// A loss summed over rows, with how many rows counted.
public struct LossSum: Sendable, Equatable, BitwiseCopyable {
    /// Sum of the rows' losses, in nats.
    public var loss: Double = 0
    /// Rows that had a target.
    public var rows: Int = 0
    /// Rows whose most likely token was the target (or the teacher's most likely one).
    public var correct: Int = 0

    /// A sum of nothing.
    public init() {}

    /// Adds another part of the same sum.
    public mutating func add(_ other: LossSum) {
        loss += other.loss
        rows += other.rows
        correct += other.correct
    }

    init(_ sum: qat_loss_sum) {
        loss = sum.loss
        rows = Int(sum.rows)
        correct = Int(sum.correct)
    }
}

/// The kernels of the losses, on the calling thread.
public enum LossKernels {
    /// Cross-entropy; `logits` become the gradient times `gradientScale`.
    ///
    /// Targets below 0 are skipped.
    public static func crossEntropy(
        logits: UnsafeMutablePointer<Float>,
        targets: UnsafePointer<Int32>,
        rows: Int,
        vocabularySize: Int,
        gradientScale: Float
    ) -> LossSum {
        var sum = qat_loss_sum()
        qat_cross_entropy_f32(logits, &sum, targets, rows, vocabularySize, gradientScale)
        return LossSum(sum)
    }
}
