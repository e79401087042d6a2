internal import Devices
internal import Formats
internal import Kernels

/// The teacher's forward pass, beside the student's.
final class Teacher {
    let distillation: Distillation
    /// The gradients of the student's residual stream after each layer, `[layers · rows, hidden]`; nil
    /// where hidden states are not compared.
    let streamGradients: DeviceTensor?
    private let pass: DecoderPass
    /// Where the most likely tokens alone are learned from.
    private let exchange: OutcomeExchange?
    private let settings: TrainingEngine.Settings
    private var device: any ComputeDevice { pass.device }

    /// - Throws: ``TransformerError`` (`parameterMismatch`) if there is none, or one that does not fit.
    init(
        _ parameters: Parameters?,
        of student: ModelConfiguration,
        _ distillation: Distillation,
        _ settings: TrainingEngine.Settings,
        records: (any TeacherRecords)?,
        _ device: any ComputeDevice
    ) throws {
        guard let parameters, parameters.configuration.vocabularySize == student.vocabularySize
        else {
            throw TransformerError(
                .parameterMismatch,
                "distillation needs a teacher with the same vocabulary"
            )
        }
        let configuration = parameters.configuration
        try distillation.requireFit(vocabularySize: student.vocabularySize)
        exchange = distillation.topCount.map {
            OutcomeExchange(
                windows: settings.batchSize,
                length: settings.length,
                count: $0,
                records: records,
                device: device
            )
        }
        self.distillation = distillation
        self.settings = settings
        if distillation.hiddenWeight > 0 {
            try configuration.requireHiddenStates(of: student)
            streamGradients = device.tensor(
                rows: Self.streamRows(student, rows: settings.rows),
                columns: student.hiddenSize
            )
        } else {
            streamGradients = nil
        }
        pass = DecoderPass(
            weights: try LayerWeights(
                parameters: parameters,
                recipe: .none,
                isPrepared: true,
                device: device
            ),
            attention: WholeSequences(settings, of: configuration, device: device),
            rows: settings.rows,
            positions: settings.length,
            keeping: .none
        )
    }

    var configuration: ModelConfiguration { pass.configuration }
    /// What it computes with.
    var parameters: Parameters { pass.weights.parameters }

    /// Gives the memory of weights back that it does not read, or reads of `student`, whose own are there;
    /// see ``LayerWeights/release(borrowing:where:)``.
    func release(borrowing student: LayerWeights, where isFixed: (ParameterLayout.Entry) -> Bool) {
        pass.weights.release(borrowing: student, where: isFixed)
    }

    /// What the teacher's head multiplies.
    private var input: LossHead.Input {
        LossHead.Input(hidden: pass.finalNorm, head: pass.weights.headOperand())
    }

    /// Rows of the gradients of a student's hidden states.
    static func streamRows(_ student: ModelConfiguration, rows: Int) -> Int {
        student.layerCount * rows
    }

    /// What the teacher says of a micro-batch that `student` has run over.
    ///
    /// Hidden states are compared on the way, on the rows that count; `rowCount` of them are in a step.
    /// Nothing is computed where records know all of it.
    func say(
        _ tokens: UnsafePointer<Int32>,
        student: DecoderPass,
        head: LossHead,
        counted: LossRows,
        rowCount: Int
    ) -> LossHead.Teaching {
        guard let exchange else {
            forward(tokens, student: student, head.hiddenSums, counted, rowCount)
            return .hidden(input)
        }
        if !exchange.recall(tokens) {
            pass.forward(tokens)
            head.findOutcomes(of: input, into: exchange.outcomes)
            exchange.keep(tokens)
        }
        return .outcomes(exchange.outcomes)
    }

    private func forward(
        _ tokens: UnsafePointer<Int32>,
        student: DecoderPass,
        _ sums: DeviceTensor?,
        _ counted: LossRows,
        _ rowCount: Int
    ) {
        guard let streamGradients, let sums else {
            pass.forward(tokens)
            return
        }
        device.clear(sums)
        let (rows, layers) = (settings.rows, configuration.layerCount)
        let scale = distillation.hiddenWeight / Double(layers * max(rowCount, 1))
        _ = pass.forward(tokens, rows: rows) { layer, stream in
            guard let layer else { return true }
            let gradients = streamGradients.rows(layer * rows..<(layer + 1) * rows)
            let hidden = student.stream(after: layer)
            counted.forEachRun(in: 0..<rows) { run, counts in
                guard counts else { return device.clear(gradients.rows(run)) }
                device.hiddenError(
                    student: hidden.rows(run),
                    teacher: stream.rows(run),
                    gradientScale: Float(scale),
                    gradient: gradients.rows(run),
                    sums: sums
                )
            }
            return true
        }
    }

    /// The first of the teacher's modules whose output on a micro-batch is not finite.
    func firstNonFinite(_ tokens: UnsafePointer<Int32>) -> String? {
        pass.firstNonFinite(tokens, rows: settings.rows)
    }
}

extension ModelConfiguration {
    /// Checks that hidden states are as many, and as wide, as a student's.
    ///
    /// - Throws: ``TransformerError`` (`parameterMismatch`).
    public func requireHiddenStates(of student: ModelConfiguration) throws(TransformerError) {
        guard hiddenSize == student.hiddenSize, layerCount == student.layerCount else {
            throw TransformerError(
                .parameterMismatch,
                """
                hidden states compare layer by layer: the teacher has \(layerCount) layers of width \
                \(hiddenSize), the student \(student.layerCount) of \(student.hiddenSize)
                """
            )
        }
    }
}
