public import Formats
public import Kernels

/// Rounds weights after training: in place, and to what is stored.
public enum WeightRounding {
    /// Rounds a weight to nearest under chosen scales.
    ///
    /// `values`: Row-major `[rows, columns]`, replaced by what the stored tensor dequantizes to.
    /// `importance`: Weights of the columns' squared errors, such as the mean squares of the inputs;
    /// FP32 scales are searched without. `amax`: Stands for the tensor's largest magnitude.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`).
    public static func round(
        _ values: UnsafeMutableBufferPointer<Float>,
        columns: Int,
        format: QuantizationFormat,
        search: ScaleSearch,
        importance: [Float]? = nil,
        amax: Float? = nil,
        team: ThreadTeam
    ) throws -> PackedTensor {
        try rounded(values, columns, format, search, importance, amax, team).pack(team)
    }

    /// Replaces a weight's values by those of ``round(_:columns:format:search:importance:amax:team:)``,
    /// without what is stored.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`).
    public static func replace(
        _ values: UnsafeMutableBufferPointer<Float>,
        columns: Int,
        format: QuantizationFormat,
        search: ScaleSearch,
        importance: [Float]?,
        amax: Float?,
        team: ThreadTeam
    ) throws {
        _ = try rounded(values, columns, format, search, importance, amax, team)
    }

    private static func rounded(
        _ values: UnsafeMutableBufferPointer<Float>,
        _ columns: Int,
        _ format: QuantizationFormat,
        _ search: ScaleSearch,
        _ importance: [Float]?,
        _ amax: Float?,
        _ team: ThreadTeam
    ) throws -> Weight {
        // A rest that makes no row is found there.
        let rows = values.count / max(columns, 1)
        let weight = try Weight(
            values,
            rows: rows,
            columns: columns,
            format: format,
            search: search,
            amax: amax,
            team: team
        )
        withOptionalPointer(importance) { importance in
            let search = weight.search(importance)
            team.parallelFor(count: rows) { range in
                for row in range {
                    PostTrainingKernels.roundRows(
                        weight.row(row),
                        scales: weight.blockScales(row),
                        rows: 1,
                        columns: columns,
                        blockSize: weight.span,
                        storage: weight.storage(row),
                        search: search
                    )
                }
            }
        }
        return weight
    }

    static func withOptionalPointer(
        _ values: [Float]?,
        _ body: (UnsafePointer<Float>?) -> Void
    ) {
        guard let values else { return body(nil) }
        values.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}

/// A weight while it is rounded, and the scales that are chosen for it.
struct Weight {
    let values: UnsafeMutablePointer<Float>
    let rows: Int
    let columns: Int
    let format: QuantizationFormat
    /// Block scales, as bytes, written while rounding.
    let scales: AlignedBuffer<UInt8>
    /// FP32 scales, chosen beforehand.
    let floatScales: [Float]

    private let scaleSearch: ScaleSearch
    private let amaxLimit: Float

    /// Elements that have one scale.
    var span: Int { format.span(columns: columns) }

    /// Checks a weight and chooses its FP32 scales.
    init(
        _ buffer: UnsafeMutableBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        search: ScaleSearch,
        amax: Float?,
        team: ThreadTeam
    ) throws {
        let values = UnsafeMutablePointer(
            mutating: try BlockQuantizer.checkedStart(
                UnsafeBufferPointer(buffer),
                rows,
                columns,
                format,
                team
            )
        )
        self.values = values
        self.rows = rows
        self.columns = columns
        self.format = format
        scaleSearch = search
        scales = AlignedBuffer(count: format.blockScaleCount(rows: rows, columns: columns))
        let count = rows * columns
        switch format.scaleKind {
        case .e8m0, .e4m3TwoLevel:
            let limit = search.amaxLimit(values, count: count)
            let largest = amax ?? BlockQuantizer.amax(values, count: count, team: team)
            amaxLimit = limit
            floatScales = BlockQuantizer.floatScales(
                values,
                rows,
                columns,
                format,
                min(largest, limit),
                team
            )
        case .perTensor:
            amaxLimit = .infinity
            let room = AlignedBuffer<Float>(count: search == .max ? 0 : count)
            let clipped = search.clippedAmax(
                values,
                count: count,
                format: format,
                rounded: room.pointer
            )
            // A shared scale is not searched: it must hold the other modules' values, too.
            floatScales = [format.floatScale(amax: amax ?? clipped)]
        case .perChannel:
            amaxLimit = .infinity
            let chosen = AlignedBuffer<Float>(count: rows)
            team.parallelFor(count: rows) { range in
                let room = AlignedBuffer<Float>(count: columns)
                for row in range {
                    let amax = search.clippedAmax(
                        values + row * columns,
                        count: columns,
                        format: format,
                        rounded: room.pointer
                    )
                    chosen.pointer[row] = format.floatScale(amax: amax)
                }
            }
            floatScales = Array(chosen.elements)
        }
    }

    func row(_ index: Int) -> UnsafeMutablePointer<Float> { values + index * columns }

    func blockScales(_ row: Int) -> UnsafeMutablePointer<UInt8> {
        scales.pointer + row * (scales.count / max(rows, 1))
    }

    func storage(_ row: Int) -> BlockStorage {
        format.storage(floatScales, row: row)
    }

    func search(_ importance: UnsafePointer<Float>?) -> BlockScaleSearch {
        BlockScaleSearch(
            scaleSearch.candidates,
            amaxLimit: amaxLimit,
            importance: importance
        )
    }

    /// What is stored, once the values are rounded.
    func pack(_ team: ThreadTeam) throws -> PackedTensor {
        let codes = BlockQuantizer.packedCodes(
            format,
            rows: rows,
            columns: columns,
            team: team
        ) { row, codes in
            PostTrainingKernels.encodeRows(
                codes: codes,
                values + row * columns,
                scales: blockScales(row),
                rows: 1,
                columns: columns,
                blockSize: span,
                storage: storage(row)
            )
        }
        return try PackedTensor(
            format: format,
            rows: rows,
            columns: columns,
            codes: codes,
            scales: [UInt8](scales.elements),
            floatScales: floatScales
        )
    }
}
