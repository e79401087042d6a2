public import Kernels

extension CPUDevice {
    /// Split over the team by rows.
    public func crossEntropy(
        _ logits: DeviceTensor,
        targets: DeviceTensor,
        gradientScale: Float,
        sums: DeviceTensor
    ) {
        precondition(targets.count == logits.rows, "crossEntropy: a target per row")
        let (start, wanted, width) = (logits.floats, targets.tokens, logits.columns)
        addRows(logits.rows, to: sums) { row in
            LossKernels.crossEntropy(
                logits: start + row * width,
                targets: wanted + row,
                rows: 1,
                vocabularySize: width,
                gradientScale: gradientScale
            )
        }
    }

    /// Split over the team by rows.
    public func divergence(
        _ divergence: Divergence,
        student: DeviceTensor,
        teacher: DeviceTensor,
        temperature: Float,
        gradientScale: Float,
        sums: DeviceTensor
    ) {
        precondition(
            student.rows == teacher.rows && student.columns == teacher.columns,
            "divergence: logits of two shapes"
        )
        let (start, wanted, width) = (student.floats, teacher.floats, student.columns)
        addRows(student.rows, to: sums) { row in
            LossKernels.divergence(
                divergence,
                student: start + row * width,
                teacher: wanted + row * width,
                rows: 1,
                vocabularySize: width,
                temperature: temperature,
                gradientScale: gradientScale
            )
        }
    }

    /// Split over the team by rows.
    public func findTopOutcomes(
        of logits: DeviceTensor,
        temperature: Float,
        into outcomes: TopOutcomeTensors
    ) {
        let (start, width, count) = (logits.floats, logits.columns, outcomes.tokens.columns)
        precondition(outcomes.tokens.rows == logits.rows, "findTopOutcomes: rows of two counts")
        let (tokens, values) = (outcomes.tokens.tokens, outcomes.values.floats)
        team.parallelFor(count: logits.rows) { range in
            for row in range {
                TopOutcomes.find(
                    logits: start + row * width,
                    tokens: tokens + row * count,
                    values: values + row * (count + 1),
                    rows: 1,
                    vocabularySize: width,
                    count: count,
                    temperature: temperature
                )
            }
        }
    }

    /// Split over the team by rows.
    public func topDivergence(
        _ divergence: Divergence,
        student: DeviceTensor,
        teacher: TopOutcomeTensors,
        temperature: Float,
        gradientScale: Float,
        sums: DeviceTensor
    ) {
        let (start, width, count) = (student.floats, student.columns, teacher.tokens.columns)
        precondition(teacher.tokens.rows == student.rows, "topDivergence: rows of two counts")
        let (tokens, values) = (teacher.tokens.tokens, teacher.values.floats)
        addRows(student.rows, to: sums) { row in
            TopOutcomes.divergence(
                divergence,
                student: start + row * width,
                teacher: .init(
                    tokens: tokens + row * count,
                    values: values + row * (count + 1),
                    count: count
                ),
                rows: 1,
                vocabularySize: width,
                temperature: temperature,
                gradientScale: gradientScale
            )
        }
    }

    /// Split over the team by rows.
    public func hiddenError(
        student: DeviceTensor,
        teacher: DeviceTensor,
        gradientScale: Float,
        gradient: DeviceTensor,
        sums: DeviceTensor
    ) {
        precondition(
            student.rows == teacher.rows && student.columns == teacher.columns
                && gradient.count == student.count,
            "hiddenError: hidden states of several shapes"
        )
        let (start, wanted, into) = (student.floats, teacher.floats, gradient.floats)
        let width = student.columns
        addRows(student.rows, to: sums) { row in
            LossKernels.hiddenError(
                student: start + row * width,
                teacher: wanted + row * width,
                gradient: into + row * width,
                rows: 1,
                width: width,
                gradientScale: gradientScale
            )
        }
    }

    /// Rows are added in order, whichever threads computed them.
    private func addRows(_ rows: Int, to sums: DeviceTensor, _ loss: (Int) -> LossSum) {
        let parts = lossSums.reserve(rows)
        team.parallelFor(count: rows) { range in
            for row in range { parts[row] = loss(row) }
        }
        var sum = LossSum()
        for row in 0..<rows { sum.add(parts[row]) }
        precondition(sums.count == 3, "sums of a loss: the loss, rows and hits")
        sums.doubles[0] += sum.loss
        sums.doubles[1] += Double(sum.rows)
        sums.doubles[2] += Double(sum.correct)
    }
}
