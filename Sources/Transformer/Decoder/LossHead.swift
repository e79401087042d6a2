internal import Kernels

/// The head and the loss, computed over chunks of rows so that logits never exist in full.
final class LossHead {
    /// Hidden states and the head that multiplies them.
    struct Input {
        /// `[rows, hidden]`, normalized.
        let hidden: UnsafePointer<Float>
        /// `[vocabulary, hidden]`.
        let head: UnsafePointer<Float>
    }

    /// Where the gradients of hidden states and, unless frozen, of the head go.
    struct HeadGradient {
        /// `[rows, hidden]`, overwritten.
        let hidden: UnsafeMutablePointer<Float>
        /// `[vocabulary, hidden]`, added to; nil when frozen.
        let head: UnsafeMutablePointer<Float>?
    }

    private let configuration: ModelConfiguration
    private let teacher: ModelConfiguration?
    private let team: ThreadTeam
    private let head: OutputHead
    private let teacherHead: OutputHead?
    private let chunkRows: Int
    private let logits: AlignedBuffer<Float>
    /// Logits before the loss turned them into gradients, where the soft cap's gradient needs them.
    private let cappedLogits: AlignedBuffer<Float>?
    private let teacherLogits: AlignedBuffer<Float>?
    /// One per row of a chunk: rows are added in order, whichever threads computed them.
    private let sums: AlignedBuffer<LossSum>

    /// A head over chunks of `chunkRows` rows; `teacher` is the teacher's shape, to distill.
    init(
        configuration: ModelConfiguration,
        teacher: ModelConfiguration?,
        chunkRows: Int,
        operands: OperandPrecision = .float32,
        team: ThreadTeam
    ) {
        self.configuration = configuration
        self.teacher = teacher
        self.team = team
        self.chunkRows = chunkRows
        head = OutputHead(configuration: configuration, operands: operands, team: team)
        teacherHead = teacher.map {
            OutputHead(configuration: $0, operands: operands, team: team)
        }
        let count = chunkRows * configuration.vocabularySize
        logits = AlignedBuffer(count: count)
        cappedLogits = head.softCap == nil ? nil : AlignedBuffer(count: count)
        teacherLogits = teacher == nil ? nil : AlignedBuffer(count: count)
        sums = AlignedBuffer(count: chunkRows)
    }

    /// Cross-entropy of `rows` hidden states against `targets` (below 0: none).
    func crossEntropy(
        _ input: Input,
        targets: UnsafePointer<Int32>,
        rows: Int,
        gradientScale: Float,
        gradient: HeadGradient?
    ) -> LossSum {
        let v = configuration.vocabularySize
        return overChunks(rows, input, gradient: gradient) { chunk, row in
            LossKernels.crossEntropy(
                logits: logits.pointer + row * v,
                targets: targets + chunk + row,
                rows: 1,
                vocabularySize: v,
                gradientScale: gradientScale
            )
        }
    }

    /// KL divergence from a teacher's hidden states under its own head.
    func distillation(
        _ input: Input,
        teacher teacherInput: Input,
        rows: Int,
        temperature: Float,
        gradientScale: Float,
        gradient: HeadGradient?
    ) -> LossSum {
        guard let teacherLogits, let teacherHead, let teacher else {
            preconditionFailure("distillation: this head was made without a teacher")
        }
        let v = configuration.vocabularySize
        return overChunks(
            rows,
            input,
            gradient: gradient,
            before: { chunk, count in
                teacherHead.logits(
                    teacherLogits.pointer,
                    hidden: teacherInput.hidden + chunk * teacher.hiddenSize,
                    weight: teacherInput.head,
                    rows: count
                )
            },
            loss: { _, row in
                LossKernels.klDivergence(
                    student: logits.pointer + row * v,
                    teacher: teacherLogits.pointer + row * v,
                    rows: 1,
                    vocabularySize: v,
                    temperature: temperature,
                    gradientScale: gradientScale
                )
            }
        )
    }

    private func overChunks(
        _ rows: Int,
        _ input: Input,
        gradient: HeadGradient?,
        before: (_ chunk: Int, _ count: Int) -> Void = { _, _ in },
        loss: (_ chunk: Int, _ row: Int) -> LossSum
    ) -> LossSum {
        let c = configuration.hiddenSize
        var total = LossSum()
        var chunk = 0
        while chunk < rows {
            let count = min(chunkRows, rows - chunk)
            let hidden = input.hidden + chunk * c
            head.logits(logits.pointer, hidden: hidden, weight: input.head, rows: count)
            if gradient != nil, let cappedLogits {
                cappedLogits.pointer.update(
                    from: logits.pointer,
                    count: count * configuration.vocabularySize
                )
            }
            before(chunk, count)
            team.parallelFor(count: count) { range in
                for row in range { sums.pointer[row] = loss(chunk, row) }
            }
            var sum = LossSum()
            for row in 0..<count { sum.add(sums.pointer[row]) }
            total.add(sum)
            if let gradient {
                head.backward(
                    logitGradient: logits.pointer,
                    capped: cappedLogits.map { UnsafePointer($0.pointer) },
                    hidden: hidden,
                    weight: input.head,
                    rows: count,
                    into: HeadGradient(hidden: gradient.hidden + chunk * c, head: gradient.head)
                )
            }
            chunk += count
        }
        return total
    }
}
