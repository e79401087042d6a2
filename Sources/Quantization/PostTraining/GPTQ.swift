public import Formats
public import Kernels

extension GPTQ {
    private static let panelWidth = 128
    /// Rows rounded at a time, however many threads there are: matrix products of other heights sum in
    /// another order.
    private static let bandHeight = 96

    /// Rounds a weight.
    ///
    /// `values`: Row-major `[rows, columns]`, replaced by what the stored tensor dequantizes to.
    /// `moments`: Symmetric `[columns, columns]`, the sum of `x · xᵀ` over inputs. `amax`: Stands for
    /// the tensor's largest magnitude.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`; `invalidMoments` if they
    ///   are not positive definite even when damped).
    /// - SeeAlso: reference kernel `qat_gptq_panel_f32`.
    public func round(
        _ values: UnsafeMutableBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        moments: UnsafeBufferPointer<Float>,
        amax: Float? = nil,
        team: ThreadTeam
    ) throws -> PackedTensor {
        let weight = try Weight(
            values,
            rows: rows,
            columns: columns,
            format: format,
            search: search,
            amax: amax,
            team: team
        )
        guard moments.count == columns * columns else {
            throw QuantizationError(
                .shapeMismatch,
                "\(moments.count) moments are not [\(columns), \(columns)]"
            )
        }
        let diagonal = (0..<columns).map { moments[$0 * columns + $0] }
        // Inputs that never fire leave their columns free: they are rounded to nearest.
        let order =
            usesActivationOrder
            ? (0..<columns).sorted { (diagonal[$0], $1) > (diagonal[$1], $0) }
            : Array(0..<columns)
        let factor = try inverseFactor(moments, diagonal: diagonal, order: order)
        factor.withUnsafeBufferPointer { factor in
            diagonal.withUnsafeBufferPointer { importance in
                guard let factor = factor.baseAddress, let importance = importance.baseAddress
                else { return }
                // Scales that are known beforehand need no blocks in order.
                if usesActivationOrder || !format.scaleKind.hasBlocks {
                    roundOrdered(weight, order, factor, importance, team)
                } else {
                    roundInPlace(weight, factor, importance, team)
                }
            }
        }
        return try weight.pack(team)
    }

    private func inverseFactor(
        _ moments: UnsafeBufferPointer<Float>,
        diagonal: [Float],
        order: [Int]
    ) throws -> [Float] {
        let n = order.count
        let mean = diagonal.reduce(0) { $0 + Double($1) } / Double(n)
        var matrix = [Double](repeating: 0, count: n * n)
        for (row, from) in order.enumerated() {
            for (column, to) in order.enumerated() {
                matrix[row * n + column] = Double(moments[from * n + to])
            }
            matrix[row * n + row] += max(damping * mean, 1e-10)
        }
        guard mean.isFinite, let factor = InverseFactor.upper(matrix, n: n) else {
            throw QuantizationError(
                .invalidMoments,
                """
                the second moments of \(n) inputs are not positive definite; give more calibration \
                text or a damping above \(damping)
                """
            )
        }
        return factor
    }

    private static func forBands(
        of rows: Int,
        _ team: ThreadTeam,
        _ body: (Range<Int>) -> Void
    ) {
        team.parallelFor(count: (rows + bandHeight - 1) / bandHeight) { bands in
            for band in bands {
                body(band * bandHeight..<min((band + 1) * bandHeight, rows))
            }
        }
    }

    private func roundInPlace(
        _ weight: Weight,
        _ factor: UnsafePointer<Float>,
        _ importance: UnsafePointer<Float>,
        _ team: ThreadTeam
    ) {
        let columns = weight.columns
        let blocksPerRow = columns / weight.span
        // Panels hold whole blocks.
        let panel = max(Self.panelWidth / weight.span, 1) * weight.span
        Self.forBands(of: weight.rows, team) { range in
            let errors = AlignedBuffer<Float>(count: range.count * panel)
            let values = weight.row(range.lowerBound)
            for first in stride(from: 0, to: columns, by: panel) {
                let width = min(panel, columns - first)
                let panel = PostTrainingKernels.Panel(
                    values: values + first,
                    errors: errors.pointer,
                    factor: factor + first * columns + first,
                    rows: range.count,
                    width: width,
                    columns: columns
                )
                PostTrainingKernels.gptqPanel(
                    panel,
                    scales: weight.blockScales(range.lowerBound) + first / weight.span,
                    scaleStride: blocksPerRow,
                    blockSize: weight.span,
                    storage: weight.storage(0),
                    search: weight.search(importance + first)
                )
                Self.spread(panel, right: columns - first - width)
            }
        }
    }

    private func roundOrdered(
        _ weight: Weight,
        _ order: [Int],
        _ factor: UnsafePointer<Float>,
        _ importance: UnsafePointer<Float>,
        _ team: ThreadTeam
    ) {
        let columns = weight.columns
        Self.forBands(of: weight.rows, team) { range in
            let sorted = AlignedBuffer<Float>(count: range.count * columns)
            let steps = AlignedBuffer<Float>(count: range.count * columns)
            let errors = AlignedBuffer<Float>(count: range.count * Self.panelWidth)
            for row in range {
                chooseScales(weight, row, importance)
                let place = (row - range.lowerBound) * columns
                for (index, column) in order.enumerated() {
                    sorted.pointer[place + index] = weight.row(row)[column]
                    let scale =
                        weight.format.scaleKind.hasBlocks
                        ? weight.blockScales(row)[column / weight.span] : 0
                    steps.pointer[place + index] = QuantizeKernels.step(
                        ofScale: scale,
                        storage: weight.storage(row)
                    )
                }
            }
            for first in stride(from: 0, to: columns, by: Self.panelWidth) {
                let width = min(Self.panelWidth, columns - first)
                let panel = PostTrainingKernels.Panel(
                    values: sorted.pointer + first,
                    errors: errors.pointer,
                    factor: factor + first * columns + first,
                    rows: range.count,
                    width: width,
                    columns: columns
                )
                PostTrainingKernels.gptqPanel(
                    panel,
                    steps: steps.pointer + first,
                    storage: weight.storage(0)
                )
                Self.spread(panel, right: columns - first - width)
            }
            for row in range {
                let place = (row - range.lowerBound) * columns
                for (index, column) in order.enumerated() {
                    weight.row(row)[column] = sorted.pointer[place + index]
                }
            }
        }
    }

    private func chooseScales(
        _ weight: Weight,
        _ row: Int,
        _ importance: UnsafePointer<Float>
    ) {
        guard weight.format.scaleKind.hasBlocks else { return }
        for block in 0..<weight.columns / weight.span {
            let first = block * weight.span
            weight.blockScales(row)[block] = PostTrainingKernels.scale(
                weight.row(row) + first,
                count: weight.span,
                storage: weight.storage(row),
                search: weight.search(importance + first)
            )
        }
    }

    /// Takes a panel's errors from the `count` columns right of it.
    private static func spread(_ panel: PostTrainingKernels.Panel, right count: Int) {
        guard count > 0 else { return }
        MatrixProduct.times(
            .init(panel.values + panel.width, stride: panel.columns),
            .init(panel.errors, stride: panel.width),
            .init(panel.factor + panel.width, stride: panel.columns),
            shape: (panel.rows, count, panel.width),
            scale: -1,
            accumulating: 1
        )
    }
}
