internal import Kernels

/// The head and the loss, computed over chunks of rows so that logits never exist in full.
final class LossHead {
    private let configuration: ModelConfiguration
    private let team: ThreadTeam
    private let product: MatrixProduct
    private let chunkRows: Int
    private let logits: AlignedBuffer<Float>
    private let teacherLogits: AlignedBuffer<Float>?
    private let sums: AlignedBuffer<LossSum>

    /// `teachers`: 1 to distill, 0 otherwise.
    init(configuration: ModelConfiguration, chunkRows: Int, teachers: Int, team: ThreadTeam) {
        self.configuration = configuration
        self.team = team
        self.chunkRows = chunkRows
        product = MatrixProduct(team: team)
        logits = AlignedBuffer(count: chunkRows * configuration.vocabularySize)
        teacherLogits =
            teachers > 0 ? AlignedBuffer(count: chunkRows * configuration.vocabularySize) : nil
        sums = AlignedBuffer(count: team.threadCount)
    }

    /// Cross-entropy of `rows` hidden states against `targets` (below 0: none).
    ///
    /// `losses`: Receives each row's loss, unless nil.
    func crossEntropy(
        hidden: UnsafePointer<Float>,
        head: UnsafePointer<Float>,
        targets: UnsafePointer<Int32>,
        losses: UnsafeMutablePointer<Double>?,
        rows: Int,
        gradientScale: Float,
        gradient: HeadGradient?
    ) -> LossSum {
        let v = configuration.vocabularySize
        return overChunks(rows, hidden: hidden, head: head, gradient: gradient) { chunk, range in
            LossKernels.crossEntropy(
                logits: logits.pointer + range.lowerBound * v,
                losses: losses.map { $0 + chunk + range.lowerBound },
                targets: targets + chunk + range.lowerBound,
                rows: range.count,
                vocabularySize: v,
                gradientScale: gradientScale
            )
        }
    }

    /// KL divergence from a teacher's hidden states under its own head.
    func distillation(
        hidden: UnsafePointer<Float>,
        head: UnsafePointer<Float>,
        teacherHidden: UnsafePointer<Float>,
        teacherHead: UnsafePointer<Float>,
        rows: Int,
        temperature: Float,
        gradientScale: Float,
        gradient: HeadGradient?
    ) -> LossSum {
        guard let teacherLogits else {
            preconditionFailure("distillation: this head was made without a teacher")
        }
        let v = configuration.vocabularySize
        let c = configuration.hiddenSize
        return overChunks(
            rows,
            hidden: hidden,
            head: head,
            gradient: gradient,
            before: { chunk, count in
                product.linear(
                    output: teacherLogits.pointer,
                    input: teacherHidden + chunk * c,
                    weight: teacherHead,
                    rows: count,
                    inputWidth: c,
                    outputWidth: v
                )
            },
            loss: { _, range in
                LossKernels.klDivergence(
                    student: logits.pointer + range.lowerBound * v,
                    teacher: teacherLogits.pointer + range.lowerBound * v,
                    rows: range.count,
                    vocabularySize: v,
                    temperature: temperature,
                    gradientScale: gradientScale
                )
            }
        )
    }

    /// Where the gradients of hidden states and, unless frozen, of the head go.
    struct HeadGradient {
        /// `[rows, hidden]`, overwritten.
        let hidden: UnsafeMutablePointer<Float>
        /// `[vocabulary, hidden]`, added to; nil when frozen.
        let head: UnsafeMutablePointer<Float>?
    }

    private func overChunks(
        _ rows: Int,
        hidden: UnsafePointer<Float>,
        head: UnsafePointer<Float>,
        gradient: HeadGradient?,
        before: (_ chunk: Int, _ count: Int) -> Void = { _, _ in },
        loss: (_ chunk: Int, _ range: Range<Int>) -> LossSum
    ) -> LossSum {
        let v = configuration.vocabularySize
        let c = configuration.hiddenSize
        var total = LossSum()
        var chunk = 0
        while chunk < rows {
            let count = min(chunkRows, rows - chunk)
            product.linear(
                output: logits.pointer,
                input: hidden + chunk * c,
                weight: head,
                rows: count,
                inputWidth: c,
                outputWidth: v
            )
            before(chunk, count)
            sums.elements.update(repeating: LossSum())
            let share = (count + team.threadCount - 1) / team.threadCount
            team.parallel { thread in
                let range = min(thread * share, count)..<min((thread + 1) * share, count)
                if !range.isEmpty {
                    sums.pointer[thread] = loss(chunk, range)
                }
            }
            for thread in 0..<team.threadCount {
                total.add(sums.pointer[thread])
            }
            if let gradient {
                propagate(gradient, chunk: chunk, count: count, hidden: hidden, head: head)
            }
            chunk += count
        }
        return total
    }

    private func propagate(
        _ gradient: HeadGradient,
        chunk: Int,
        count: Int,
        hidden: UnsafePointer<Float>,
        head: UnsafePointer<Float>
    ) {
        let v = configuration.vocabularySize
        let c = configuration.hiddenSize
        product.linearInputGradient(
            gradient.hidden + chunk * c,
            accumulating: 0,
            outputGradient: logits.pointer,
            weight: head,
            rows: count,
            inputWidth: c,
            outputWidth: v
        )
        if let headGradient = gradient.head {
            product.linearWeightGradient(
                headGradient,
                outputGradient: logits.pointer,
                input: hidden + chunk * c,
                rows: count,
                inputWidth: c,
                outputWidth: v
            )
        }
    }
}
