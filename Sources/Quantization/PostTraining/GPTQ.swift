public import Kernels

/// GPTQ: rounds a weight column by column, each error made good by the columns that follow, in the
/// measure of the inputs' second moments.
///
/// - SeeAlso: Frantar et al., arXiv 2210.17323; reference kernel `qat_gptq_panel_f32`.
public struct GPTQ: Sendable {
    /// Share of the mean diagonal that is added to the diagonal.
    public var damping: Double
    /// Whether columns are taken in order of falling second moment; scales are then those of the
    /// unrounded weight.
    public var usesActivationOrder: Bool
    /// How block scales are chosen.
    public var search: ScaleSearch

    private static let panelWidth = 128

    /// A rounding.
    public init(
        damping: Double = 0.01,
        usesActivationOrder: Bool = false,
        search: ScaleSearch = .mse
    ) {
        self.damping = damping
        self.usesActivationOrder = usesActivationOrder
        self.search = search
    }

    /// Rounds a weight.
    ///
    /// `values`: Row-major `[rows, columns]`, replaced by what the stored tensor dequantizes to.
    /// `moments`: Symmetric `[columns, columns]`, the sum of `x · xᵀ` over inputs.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`; `invalidMoments` if they
    ///   are not positive definite even when damped).
    public func round(
        _ values: UnsafeMutableBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        moments: UnsafeBufferPointer<Float>,
        team: ThreadTeam
    ) throws -> PackedTensor {
        let (start, storage) = try WeightRounding.prepare(
            values,
            rows: rows,
            columns: columns,
            format: format,
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
        let layer = Layer(
            values: start,
            rows: rows,
            columns: columns,
            blockSize: format.blockSize,
            storage: storage,
            importance: diagonal
        )
        if usesActivationOrder {
            roundOrdered(layer, order: order, factor: factor, team: team)
        } else {
            roundInPlace(layer, factor: factor, team: team)
        }
        return try WeightRounding.pack(start, layer.scales, rows, columns, format, storage, team)
    }

    private struct Layer {
        let values: UnsafeMutablePointer<Float>
        let rows: Int
        let columns: Int
        let blockSize: Int
        let storage: BlockStorage
        let importance: [Float]
        let scales: AlignedBuffer<UInt8>

        init(
            values: UnsafeMutablePointer<Float>,
            rows: Int,
            columns: Int,
            blockSize: Int,
            storage: BlockStorage,
            importance: [Float]
        ) {
            self.values = values
            self.rows = rows
            self.columns = columns
            self.blockSize = blockSize
            self.storage = storage
            self.importance = importance
            scales = AlignedBuffer(count: rows * columns / blockSize)
        }
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

    private func roundInPlace(_ layer: Layer, factor: [Float], team: ThreadTeam) {
        let columns = layer.columns
        let blocksPerRow = columns / layer.blockSize
        // Panels hold whole blocks.
        let panel = max(Self.panelWidth / layer.blockSize, 1) * layer.blockSize
        factor.withUnsafeBufferPointer { factor in
            layer.importance.withUnsafeBufferPointer { importance in
                guard let factor = factor.baseAddress, let importance = importance.baseAddress
                else { return }
                team.parallelFor(count: layer.rows, grain: 4) { range in
                    let errors = AlignedBuffer<Float>(count: range.count * panel)
                    let values = layer.values + range.lowerBound * columns
                    for first in stride(from: 0, to: columns, by: panel) {
                        let width = min(panel, columns - first)
                        PostTrainingKernels.gptqPanel(
                            values + first,
                            stride: columns,
                            errors: errors.pointer,
                            scales: layer.scales.pointer + range.lowerBound * blocksPerRow
                                + first / layer.blockSize,
                            scaleStride: blocksPerRow,
                            rows: range.count,
                            width: width,
                            blockSize: layer.blockSize,
                            factor: factor + first * columns + first,
                            factorStride: columns,
                            importance: importance + first,
                            storage: layer.storage,
                            searching: search == .mse
                        )
                        Self.spread(
                            errors.pointer,
                            factor,
                            values,
                            first: first,
                            width: width,
                            rows: range.count,
                            columns: columns
                        )
                    }
                }
            }
        }
    }

    private func roundOrdered(_ layer: Layer, order: [Int], factor: [Float], team: ThreadTeam) {
        let columns = layer.columns
        let blocksPerRow = columns / layer.blockSize
        factor.withUnsafeBufferPointer { factor in
            layer.importance.withUnsafeBufferPointer { importance in
                guard let factor = factor.baseAddress, let importance = importance.baseAddress
                else { return }
                team.parallelFor(count: layer.rows, grain: 4) { range in
                    let sorted = AlignedBuffer<Float>(count: range.count * columns)
                    let steps = AlignedBuffer<Float>(count: range.count * columns)
                    let errors = AlignedBuffer<Float>(count: range.count * Self.panelWidth)
                    for row in range {
                        let scales = layer.scales.pointer + row * blocksPerRow
                        chooseScales(layer, layer.values + row * columns, scales, importance)
                        for (place, column) in order.enumerated() {
                            let index = (row - range.lowerBound) * columns + place
                            sorted.pointer[index] = layer.values[row * columns + column]
                            steps.pointer[index] = PostTrainingKernels.step(
                                ofScale: scales[column / layer.blockSize],
                                storage: layer.storage
                            )
                        }
                    }
                    for first in stride(from: 0, to: columns, by: Self.panelWidth) {
                        let width = min(Self.panelWidth, columns - first)
                        PostTrainingKernels.gptqPanel(
                            sorted.pointer + first,
                            stride: columns,
                            errors: errors.pointer,
                            steps: steps.pointer + first,
                            stepStride: columns,
                            rows: range.count,
                            width: width,
                            factor: factor + first * columns + first,
                            factorStride: columns,
                            storage: layer.storage
                        )
                        Self.spread(
                            errors.pointer,
                            factor,
                            sorted.pointer,
                            first: first,
                            width: width,
                            rows: range.count,
                            columns: columns
                        )
                    }
                    for row in range {
                        for (place, column) in order.enumerated() {
                            layer.values[row * columns + column] =
                                sorted.pointer[(row - range.lowerBound) * columns + place]
                        }
                    }
                }
            }
        }
    }

    private func chooseScales(
        _ layer: Layer,
        _ values: UnsafePointer<Float>,
        _ scales: UnsafeMutablePointer<UInt8>,
        _ importance: UnsafePointer<Float>
    ) {
        for block in 0..<layer.columns / layer.blockSize {
            let first = block * layer.blockSize
            scales[block] = PostTrainingKernels.scale(
                values + first,
                count: layer.blockSize,
                importance: importance + first,
                storage: layer.storage,
                searching: search == .mse
            )
        }
    }

    /// Takes a panel's errors from the columns right of it.
    private static func spread(
        _ errors: UnsafePointer<Float>,
        _ factor: UnsafePointer<Float>,
        _ values: UnsafeMutablePointer<Float>,
        first: Int,
        width: Int,
        rows: Int,
        columns: Int
    ) {
        let next = first + width
        guard next < columns else { return }
        MatrixProduct.times(
            c: values + next,
            cStride: columns,
            scale: -1,
            accumulating: 1,
            a: errors,
            aStride: width,
            b: factor + first * columns + next,
            bStride: columns,
            m: rows,
            n: columns - next,
            k: width
        )
    }
}
