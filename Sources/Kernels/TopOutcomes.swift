internal import CKernels

/// Distributions as a teacher's most likely tokens and all others as one outcome.
public enum TopOutcomes {
    /// Most tokens that are kept.
    public static let limit = Int(QAT_TOP_LIMIT)

    /// Finds the most likely tokens of each row of logits, most likely first.
    ///
    /// Their log-probabilities come with them and, last, that of all others together; `logits` are
    /// overwritten. `tokens`: `[rows, count]`. `values`: `[rows, count + 1]`.
    public static func find(
        logits: UnsafeMutablePointer<Float>,
        tokens: UnsafeMutablePointer<Int32>,
        values: UnsafeMutablePointer<Float>,
        rows: Int,
        vocabularySize: Int,
        count: Int,
        temperature: Float
    ) {
        precondition(count > 0 && count <= min(limit, vocabularySize), "find: \(count) tokens")
        qat_top_outcomes_f32(logits, tokens, values, rows, vocabularySize, count, temperature)
    }

    /// A teacher's rows.
    public struct Rows {
        let tokens: UnsafePointer<Int32>
        let values: UnsafePointer<Float>
        let count: Int

        /// What ``TopOutcomes/find(logits:tokens:values:rows:vocabularySize:count:temperature:)`` found.
        public init(tokens: UnsafePointer<Int32>, values: UnsafePointer<Float>, count: Int) {
            self.tokens = tokens
            self.values = values
            self.count = count
        }
    }

    /// A divergence on those outcomes; `student` becomes its gradient times `gradientScale`.
    public static func divergence(
        _ divergence: Divergence,
        student: UnsafeMutablePointer<Float>,
        teacher: Rows,
        rows: Int,
        vocabularySize: Int,
        temperature: Float,
        gradientScale: Float
    ) -> LossSum {
        var settings = qat_top_divergence(
            kind: QAT_FORWARD_KL,
            temperature: temperature,
            beta: 0,
            gradient_scale: gradientScale
        )
        switch divergence {
        case .forward: settings.kind = QAT_FORWARD_KL
        case .reverse: settings.kind = QAT_REVERSE_KL
        case .jensenShannon(let beta):
            settings.kind = QAT_JENSEN_SHANNON
            settings.beta = Float(beta)
        }
        var sum = qat_loss_sum()
        qat_top_divergence_f32(
            student,
            teacher.tokens,
            teacher.values,
            &sum,
            rows,
            vocabularySize,
            teacher.count,
            &settings
        )
        return LossSum(sum)
    }
}
