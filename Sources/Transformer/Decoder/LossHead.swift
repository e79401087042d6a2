internal import Devices
internal import Kernels

/// The head and the loss, computed over chunks of rows so that logits never exist in full.
final class LossHead {
    /// Hidden states and the head that multiplies them.
    struct Input {
        /// `[rows, hidden]`, normalized.
        let hidden: DeviceTensor
        /// `[vocabulary, hidden]`.
        let head: DeviceTensor

        fileprivate func rows(_ range: Range<Int>) -> Input {
            Input(hidden: hidden.rows(range), head: head)
        }
    }

    /// Where the gradients of hidden states and, unless frozen, of the head go.
    struct HeadGradient {
        /// `[rows, hidden]`, overwritten.
        let hidden: DeviceTensor
        /// `[vocabulary, hidden]`, added to; nil when frozen.
        let head: DeviceTensor?
    }

    private let device: any ComputeDevice
    private let head: OutputHead
    private let teacherHead: OutputHead?
    private let chunkRows: Int
    private let logits: DeviceTensor
    /// Logits before the loss turned them into gradients, where the soft cap's gradient needs them.
    private let cappedLogits: DeviceTensor?
    private let teacherLogits: DeviceTensor?
    /// The loss, rows and hits of a call.
    private let sums: DeviceTensor

    /// Rows of logits at a time, of a pass over `rows` rows.
    static func chunkRows(rows: Int) -> Int { min(128, rows) }

    /// A head over chunks of `chunkRows` rows; `teacher` is the teacher's shape, to distill.
    init(
        configuration: ModelConfiguration,
        teacher: ModelConfiguration?,
        chunkRows: Int,
        device: any ComputeDevice
    ) {
        self.device = device
        self.chunkRows = chunkRows
        head = OutputHead(configuration: configuration, device: device)
        teacherHead = teacher.map { OutputHead(configuration: $0, device: device) }
        func logitTensor() -> DeviceTensor {
            device.tensor(rows: chunkRows, columns: configuration.vocabularySize)
        }
        logits = logitTensor()
        cappedLogits = head.softCap == nil ? nil : logitTensor()
        teacherLogits = teacher == nil ? nil : logitTensor()
        sums = device.tensor(columns: 3, type: .float64)
    }

    /// Cross-entropy of hidden states against `targets`, int32 (below 0: none).
    func crossEntropy(
        _ input: Input,
        targets: DeviceTensor,
        gradientScale: Float,
        gradient: HeadGradient?
    ) -> LossSum {
        let targets = targets.reshaped(rows: targets.count, columns: 1)
        return overChunks(input, gradient: gradient) { chunk, logits in
            device.crossEntropy(
                logits,
                targets: targets.rows(chunk),
                gradientScale: gradientScale,
                sums: sums
            )
        }
    }

    /// The divergence from a teacher's hidden states under its own head.
    func distillation(
        _ input: Input,
        teacher: Input,
        by distillation: Distillation,
        gradientScale: Float,
        gradient: HeadGradient?
    ) -> LossSum {
        guard let teacherLogits, let teacherHead else {
            preconditionFailure("distillation: this head was made without a teacher")
        }
        return overChunks(input, gradient: gradient) { chunk, logits in
            let wanted = teacherLogits.first(chunk.count)
            teacherHead.logits(wanted, hidden: teacher.hidden.rows(chunk), weight: teacher.head)
            device.divergence(
                distillation.divergence,
                student: logits,
                teacher: wanted,
                temperature: Float(distillation.temperature),
                gradientScale: gradientScale,
                sums: sums
            )
        }
    }

    /// `loss` turns a chunk's logits into their gradient.
    private func overChunks(
        _ input: Input,
        gradient: HeadGradient?,
        loss: (_ chunk: Range<Int>, _ logits: DeviceTensor) -> Void
    ) -> LossSum {
        device.clear(sums)
        let rows = input.hidden.rows
        for start in stride(from: 0, to: rows, by: chunkRows) {
            let chunk = start..<min(start + chunkRows, rows)
            let logits = logits.first(chunk.count)
            let capped = cappedLogits?.first(chunk.count)
            let part = input.rows(chunk)
            head.logits(logits, hidden: part.hidden, weight: part.head)
            if gradient != nil, let capped { device.copy(logits, to: capped) }
            loss(chunk, logits)
            if let gradient {
                head.backward(
                    logitGradient: logits,
                    capped: capped,
                    input: part,
                    into: HeadGradient(hidden: gradient.hidden.rows(chunk), head: gradient.head)
                )
            }
        }
        return total
    }

    /// What was added up, once it is computed.
    private var total: LossSum {
        var sum = LossSum()
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 3) { values in
            guard let start = values.baseAddress else { return }
            device.download(sums, into: start)
            sum.loss = values[0]
            sum.rows = Int(values[1])
            sum.correct = Int(values[2])
        }
        return sum
    }
}
