public import Kernels

/// How a weight's block scales are chosen after training.
public enum ScaleSearch: String, Sendable, Codable, CaseIterable {
    /// From the largest magnitude, by the format's scale mode.
    case max
    /// The neighbour of that one with the least squared error.
    case mse
}

/// Rounds weights after training: in place, and to what is stored.
public enum WeightRounding {
    /// Rounds a weight to nearest under chosen scales.
    ///
    /// `values`: Row-major `[rows, columns]`, replaced by what the stored tensor dequantizes to.
    /// `importance`: Weights of the columns' squared errors, such as the mean squares of the inputs.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`).
    public static func round(
        _ values: UnsafeMutableBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        search: ScaleSearch,
        importance: [Float]? = nil,
        team: ThreadTeam
    ) throws -> PackedTensor {
        let (start, storage) = try prepare(
            values,
            rows: rows,
            columns: columns,
            format: format,
            team: team
        )
        let blocksPerRow = columns / format.blockSize
        let scales = AlignedBuffer<UInt8>(count: rows * blocksPerRow)
        withOptionalPointer(importance) { weights in
            team.parallelFor(count: rows) { range in
                PostTrainingKernels.roundRows(
                    start + range.lowerBound * columns,
                    scales: scales.pointer + range.lowerBound * blocksPerRow,
                    rows: range.count,
                    columns: columns,
                    blockSize: format.blockSize,
                    importance: weights,
                    storage: storage,
                    searching: search == .mse
                )
            }
        }
        return try pack(start, scales, rows, columns, format, storage, team)
    }

    /// Checks a weight and says how its blocks are stored.
    static func prepare(
        _ values: UnsafeMutableBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        team: ThreadTeam
    ) throws -> (UnsafeMutablePointer<Float>, BlockStorage) {
        try BlockQuantizer.checkShape(rows: rows, columns: columns, format: format)
        guard values.count == rows * columns, let start = values.baseAddress else {
            throw QuantizationError(
                .shapeMismatch,
                "\(values.count) values are not [\(rows), \(columns)]"
            )
        }
        let globalScale = BlockQuantizer.globalScale(start, count: values.count, team: team)
        guard globalScale.isFinite else {
            throw QuantizationError(
                .nonFiniteInput,
                "the tensor [\(rows), \(columns)] holds a NaN or an infinity"
            )
        }
        let storage = BlockStorage(
            grid: format.element.grid,
            globalScale: format.scaleKind == .e4m3TwoLevel ? globalScale : nil,
            scaleMode: format.scaleMode.kernelCode,
            tie: format.tieRule.kernelCode
        )
        return (start, storage)
    }

    /// What is stored of values that are rounded already.
    static func pack(
        _ values: UnsafePointer<Float>,
        _ scales: AlignedBuffer<UInt8>,
        _ rows: Int,
        _ columns: Int,
        _ format: QuantizationFormat,
        _ storage: BlockStorage,
        _ team: ThreadTeam
    ) throws -> PackedTensor {
        let bits = format.element.bitWidth
        let codes = AlignedBuffer<UInt8>(count: rows * columns)
        let packed = AlignedBuffer<UInt8>(count: rows * columns * bits / 8)
        // A row's packed codes are whole bytes: checkShape has seen to that.
        team.parallelFor(count: rows) { range in
            let first = range.lowerBound * columns
            PostTrainingKernels.encodeRows(
                codes: codes.pointer + first,
                values + first,
                scales: scales.pointer + first / format.blockSize,
                rows: range.count,
                columns: columns,
                blockSize: format.blockSize,
                storage: storage
            )
            QuantizeKernels.pack(
                packed.pointer + first * bits / 8,
                codes: codes.pointer + first,
                count: range.count * columns,
                codeBits: bits
            )
        }
        return try PackedTensor(
            format: format,
            rows: rows,
            columns: columns,
            codes: [UInt8](packed.elements),
            scales: [UInt8](scales.elements),
            globalScale: storage.globalScale
        )
    }

    static func withOptionalPointer(
        _ values: [Float]?,
        _ body: (UnsafePointer<Float>?) -> Void
    ) {
        guard let values else { return body(nil) }
        values.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}
