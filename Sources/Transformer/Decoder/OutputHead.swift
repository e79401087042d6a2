internal import Kernels

/// The last step of a decoder: normalized hidden states to logits.
struct OutputHead {
    private let product: MatrixProduct
    private let team: ThreadTeam
    private let vocabularySize: Int
    private let hiddenSize: Int
    private let multiplier: Float
    let softCap: Float?

    init(
        configuration: ModelConfiguration,
        operands: OperandPrecision = .float32,
        team: ThreadTeam
    ) {
        product = MatrixProduct(team: team, operands: operands)
        self.team = team
        vocabularySize = configuration.vocabularySize
        hiddenSize = configuration.hiddenSize
        multiplier = configuration.architecture.logitMultiplier
        softCap = configuration.architecture.logitSoftCap
    }

    /// `logits` `[rows, vocabulary]` of `hidden` `[rows, hidden]` under `weight`
    /// `[vocabulary, hidden]`.
    func logits(
        _ logits: UnsafeMutablePointer<Float>,
        hidden: UnsafePointer<Float>,
        weight: UnsafePointer<Float>,
        rows: Int
    ) {
        product.linear(
            output: logits,
            input: hidden,
            weight: weight,
            rows: rows,
            inputWidth: hiddenSize,
            outputWidth: vocabularySize
        )
        guard multiplier != 1 || softCap != nil else { return }
        team.parallelFor(count: rows * vocabularySize, grain: 16) { range in
            let start = logits + range.lowerBound
            if let softCap {
                DecoderKernels.softCap(
                    start,
                    count: range.count,
                    scale: multiplier,
                    cap: softCap
                )
            } else {
                DecoderKernels.scale(start, by: multiplier, count: range.count)
            }
        }
    }

    /// Turns the gradient of logits `[rows, vocabulary]` into that of the product, in place.
    ///
    /// `capped`: The logits as ``logits(_:hidden:weight:rows:)`` left them; needed with a soft cap.
    private func productGradient(
        _ gradient: UnsafeMutablePointer<Float>,
        capped: UnsafePointer<Float>?,
        rows: Int
    ) {
        guard multiplier != 1 || softCap != nil else { return }
        team.parallelFor(count: rows * vocabularySize, grain: 16) { range in
            let start = gradient + range.lowerBound
            if let softCap, let capped {
                DecoderKernels.softCapGradient(
                    start,
                    capped: capped + range.lowerBound,
                    count: range.count,
                    scale: multiplier,
                    cap: softCap
                )
            } else {
                DecoderKernels.scale(start, by: multiplier, count: range.count)
            }
        }
    }

    /// Overwrites the gradient of hidden states, and adds to the head's unless that is nil.
    ///
    /// `logitGradient` is turned into the product's gradient on the way.
    func backward(
        logitGradient: UnsafeMutablePointer<Float>,
        capped: UnsafePointer<Float>?,
        hidden: UnsafePointer<Float>,
        weight: UnsafePointer<Float>,
        rows: Int,
        into gradient: LossHead.HeadGradient
    ) {
        productGradient(logitGradient, capped: capped, rows: rows)
        product.linearInputGradient(
            gradient.hidden,
            accumulating: 0,
            outputGradient: logitGradient,
            weight: weight,
            rows: rows,
            inputWidth: hiddenSize,
            outputWidth: vocabularySize
        )
        if let headGradient = gradient.head {
            product.linearWeightGradient(
                headGradient,
                outputGradient: logitGradient,
                input: hidden,
                rows: rows,
                inputWidth: hiddenSize,
                outputWidth: vocabularySize
            )
        }
    }
}
