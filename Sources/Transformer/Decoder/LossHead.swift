internal import Devices
internal import Kernels

/// The head and the loss, computed over chunks of rows so that logits never exist in full.
final class LossHead {
    /// Hidden states and the head that multiplies them.
    struct Input {
        /// `[rows, hidden]`, normalized.
        let hidden: DeviceTensor
        /// `[vocabulary, hidden]`.
        let head: WeightOperand

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
    private let distillation: Distillation
    /// The student's logits once more, where cross-entropy joins a divergence.
    private let textLogits: DeviceTensor?
    /// The loss, rows and hits of a call; of a loss of several parts those of the divergence, of
    /// cross-entropy and of hidden states.
    private let sums: DeviceTensor
    /// What the error of hidden states is added to before ``distillation(_:teacher:targets:scales:gradient:)``.
    let hiddenSums: DeviceTensor?

    /// Elements of logits that are computed at a time, as long as that makes chunks of 64 rows: each chunk
    /// reads the head and adds to its gradient once more.
    private static let chunkElements = 1 << 24

    /// Rows of logits at a time, of a pass over `rows` rows: chunks of one size.
    static func chunkRows(rows: Int, vocabulary: Int) -> Int {
        let most = max(64, chunkElements / max(vocabulary, 1))
        let chunks = max((rows + most - 1) / most, 1)
        return (rows + chunks - 1) / chunks
    }

    /// What a teacher says of the rows.
    enum Teaching {
        /// Its hidden states, under its own head.
        case hidden(Input)
        /// Its most likely tokens.
        case outcomes(TopOutcomeTensors)
    }

    /// What the gradients of a loss's parts are multiplied with.
    struct Scales {
        var divergence: Float = 0
        var crossEntropy: Float = 0
    }

    /// A head over chunks of `chunkRows` rows; `teacher` is the teacher's shape, to distill.
    init(
        configuration: ModelConfiguration,
        teacher: ModelConfiguration?,
        distillation: Distillation = Distillation(),
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
        self.distillation = distillation
        textLogits = distillation.crossEntropyWeight > 0 ? logitTensor() : nil
        sums = device.tensor(rows: distillation.hasParts ? 3 : 1, columns: 3, type: .float64)
        hiddenSums = distillation.hiddenWeight > 0 ? sums.rows(2..<3) : nil
    }

    /// Tensors of logits that a head holds.
    static func logitTensorCount(
        _ student: ModelConfiguration,
        _ distillation: Distillation?
    ) -> Int {
        1 + (student.architecture.logitSoftCap == nil ? 0 : 1) + (distillation == nil ? 0 : 1)
            + ((distillation?.crossEntropyWeight ?? 0) > 0 ? 1 : 0)
    }

    /// Cross-entropy of hidden states against `targets`, int32 (below 0: none).
    func crossEntropy(
        _ input: Input,
        targets: DeviceTensor,
        gradientScale: Float,
        gradient: HeadGradient?
    ) -> LossSum {
        let targets = targets.reshaped(rows: targets.count, columns: 1)
        overChunks(input, gradient: gradient) { chunk, logits in
            device.crossEntropy(
                logits,
                targets: targets.rows(chunk),
                gradientScale: gradientScale,
                sums: sums.first(1)
            )
        }
        return total.main
    }

    /// The divergence from a teacher's hidden states under its own head, and cross-entropy against
    /// `targets` where the distillation mixes it in.
    ///
    /// `counted`: The rows that count in the divergence; nil for all.
    func distillation(
        _ input: Input,
        teacher: Teaching,
        targets: DeviceTensor? = nil,
        counted: LossRows? = nil,
        scales: Scales = Scales(),
        gradient: HeadGradient?
    ) -> LossParts {
        overChunks(input, gradient: gradient) { chunk, logits in
            alsoLearningText(logits, targets, chunk, scale: scales.crossEntropy) {
                diverge(logits, from: teacher, chunk, counted, scale: scales.divergence)
            }
        }
        return total
    }

    private func diverge(
        _ logits: DeviceTensor,
        from teacher: Teaching,
        _ chunk: Range<Int>,
        _ counted: LossRows?,
        scale: Float
    ) {
        /// Runs over rows that count, by their places in the chunk; those that do not become zeros.
        func overRuns(_ loss: (Range<Int>, DeviceTensor) -> Void) {
            guard let counted else { return loss(0..<chunk.count, logits) }
            counted.forEachRun(in: chunk) { run, counts in
                let rows = run.lowerBound - chunk.lowerBound..<run.upperBound - chunk.lowerBound
                if counts { loss(rows, logits.rows(rows)) } else { device.clear(logits.rows(rows)) }
            }
        }
        switch teacher {
        case .hidden(let input):
            let wanted = self.teacherLogits(of: input, chunk)
            overRuns { rows, logits in
                device.divergence(
                    distillation.divergence,
                    student: logits,
                    teacher: wanted.rows(rows),
                    temperature: Float(distillation.temperature),
                    gradientScale: scale,
                    sums: sums.first(1)
                )
            }
        case .outcomes(let outcomes):
            let wanted = outcomes.rows(chunk)
            overRuns { rows, logits in
                device.topDivergence(
                    distillation.divergence,
                    student: logits,
                    teacher: wanted.rows(rows),
                    temperature: Float(distillation.temperature),
                    gradientScale: scale,
                    sums: sums.first(1)
                )
            }
        }
    }

    private func teacherLogits(of teacher: Input, _ chunk: Range<Int>) -> DeviceTensor {
        guard let teacherLogits, let teacherHead else {
            preconditionFailure("distillation: this head was made without a teacher")
        }
        let logits = teacherLogits.first(chunk.count)
        teacherHead.logits(logits, hidden: teacher.hidden.rows(chunk), weight: teacher.head)
        return logits
    }

    /// The most likely tokens of a teacher's hidden states under its own head.
    func findOutcomes(of teacher: Input, into outcomes: TopOutcomeTensors) {
        let rows = teacher.hidden.rows
        for start in stride(from: 0, to: rows, by: chunkRows) {
            let chunk = start..<min(start + chunkRows, rows)
            device.findTopOutcomes(
                of: teacherLogits(of: teacher, chunk),
                temperature: Float(distillation.temperature),
                into: outcomes.rows(chunk)
            )
        }
    }

    /// Adds cross-entropy and its gradient to those of `loss`, which overwrites the logits with its own.
    private func alsoLearningText(
        _ logits: DeviceTensor,
        _ targets: DeviceTensor?,
        _ chunk: Range<Int>,
        scale: Float,
        loss: () -> Void
    ) {
        guard let targets, let text = textLogits?.first(chunk.count) else { return loss() }
        device.copy(logits, to: text)
        device.crossEntropy(
            text,
            targets: targets.reshaped(rows: targets.count, columns: 1).rows(chunk),
            gradientScale: scale,
            sums: sums.rows(1..<2)
        )
        loss()
        device.add(text, to: logits)
    }

    /// `loss` turns a chunk's logits into their gradient.
    private func overChunks(
        _ input: Input,
        gradient: HeadGradient?,
        loss: (_ chunk: Range<Int>, _ logits: DeviceTensor) -> Void
    ) {
        device.clear(sums.first(min(sums.rows, 2)))
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
    }

    /// What was added up, once it is computed.
    private var total: LossParts {
        var parts = LossParts()
        withUnsafeTemporaryAllocation(of: Double.self, capacity: sums.count) { values in
            guard let start = values.baseAddress else { return }
            device.download(sums, into: start)
            func sum(_ row: Int) -> LossSum {
                guard row < sums.rows else { return LossSum() }
                var sum = LossSum()
                sum.loss = values[3 * row]
                sum.rows = Int(values[3 * row + 1])
                sum.correct = Int(values[3 * row + 2])
                return sum
            }
            parts = LossParts(main: sum(0), crossEntropy: sum(1), hidden: sum(2))
        }
        return parts
    }
}
