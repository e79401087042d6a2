internal import CKernels

/// How far a student's distribution q lies from a teacher's p.
///
/// Both are softmax at a temperature T; the divergence is multiplied by T², so that its gradient keeps
/// its size (Hinton, Vinyals and Dean 2015).
public enum Divergence: Sendable, Equatable {
    /// KL(p ‖ q): the student covers all that the teacher may say.
    case forward
    /// KL(q ‖ p): the student says nothing that the teacher would not.
    case reverse
    /// The generalized Jensen–Shannon divergence of Agarwal et al. 2023 (GKD), as Liger and TRL have
    /// it: β KL(p ‖ m) + (1 − β) KL(q ‖ m) with m = β p + (1 − β) q and 0 < β < 1.
    ///
    /// At most ln 2 · T² where β is a half.
    case jensenShannon(beta: Double)
}

extension LossKernels {
    /// A divergence of rows of logits; `student` becomes its gradient times `gradientScale`, `teacher`
    /// is overwritten.
    public static func divergence(
        _ divergence: Divergence,
        student: UnsafeMutablePointer<Float>,
        teacher: UnsafeMutablePointer<Float>,
        rows: Int,
        vocabularySize: Int,
        temperature: Float,
        gradientScale: Float
    ) -> LossSum {
        var sum = qat_loss_sum()
        let (count, scale) = (vocabularySize, gradientScale)
        switch divergence {
        case .forward:
            qat_kl_divergence_f32(student, teacher, &sum, rows, count, temperature, scale)
        case .reverse:
            qat_reverse_kl_f32(student, teacher, &sum, rows, count, temperature, scale)
        case .jensenShannon(let beta):
            qat_jensen_shannon_f32(
                student,
                teacher,
                &sum,
                rows,
                count,
                temperature,
                Float(beta),
                scale
            )
        }
        return LossSum(sum)
    }

    /// The squared distance of hidden states from a teacher's, row by row relative to the square
    /// length of the teacher's; `gradient` is overwritten with the student's, times `gradientScale`.
    public static func hiddenError(
        student: UnsafePointer<Float>,
        teacher: UnsafePointer<Float>,
        gradient: UnsafeMutablePointer<Float>,
        rows: Int,
        width: Int,
        gradientScale: Float
    ) -> LossSum {
        var sum = qat_loss_sum()
        qat_hidden_error_f32(gradient, student, teacher, &sum, rows, width, gradientScale)
        return LossSum(sum)
    }
}
