internal import CKernels

/// Products with weights that stay packed, in FP32 and in one order of sums.
///
/// An output's bits depend on its row of the weight and its input alone: not on how many inputs there are,
/// on threads, or on the processor. Not for concurrent use.
///
/// - SeeAlso: `qat_packed.h`.
public final class PackedProduct: @unchecked Sendable {
    // One caller at a time, as the team has it.
    private let team: ThreadTeam
    private var inputs = Scratch<Float>()
    private var room = Scratch<Float>()

    /// Products computed by the threads of `team`.
    public init(team: ThreadTeam) { self.team = team }

    /// The vector instructions that products use here: avx512, avx2, neon or ref.
    public static var twin: String { String(cString: qat_packed_twin()) }

    /// `output[rows, N] = input[rows, K] · weightᵀ` of a weight `[N, K]` that lies at `start`.
    public func multiply(
        _ layout: PackedLayout,
        at start: UnsafePointer<UInt8>,
        input: UnsafePointer<Float>,
        rows: Int,
        output: UnsafeMutablePointer<Float>
    ) {
        guard rows > 0, layout.rows > 0 else { return }
        var weight = layout.weight(at: start)
        let packed = pack(input, rows: rows, columns: layout.columns)
        let share = (qat_packed_scratch_count(rows) + 15) / 16 * 16
        let scratch = room.reserve(share * team.threadCount)
        // Tiles go in pairs where inputs are many.
        let pairs = (layout.tileCount + 1) / 2
        team.parallel { [team] index in
            let first = 2 * (pairs * index / team.threadCount)
            let last = min(2 * (pairs * (index + 1) / team.threadCount), layout.tileCount)
            guard first < last else { return }
            qat_product_packed(
                &weight,
                packed,
                rows,
                output,
                layout.rows,
                first,
                last,
                scratch + index * share
            )
        }
    }

    /// Inputs as the kernels read them.
    private func pack(
        _ input: UnsafePointer<Float>,
        rows: Int,
        columns: Int
    ) -> UnsafePointer<Float> {
        // One whole row is in that form already.
        if rows == 1, columns.isMultiple(of: Int(QAT_TILE_COLUMNS)) { return input }
        let packed = inputs.reserve(qat_packed_input_count(rows, columns))
        let padded = qat_tile_groups(columns) * Int(QAT_TILE_COLUMNS)
        let group = Int(QAT_TILE_INPUTS)
        team.parallelFor(count: (rows + group - 1) / group) { groups in
            let first = groups.lowerBound * group
            let count = min(groups.upperBound * group, rows) - first
            qat_pack_inputs(
                packed + first * padded,
                input + first * columns,
                columns,
                count,
                columns
            )
        }
        return UnsafePointer(packed)
    }

    /// The FP32 values of some rows of a weight that lies at `start`, one behind the other.
    public static func unpack(
        _ layout: PackedLayout,
        at start: UnsafePointer<UInt8>,
        rows: UnsafeBufferPointer<Int32>,
        into output: UnsafeMutablePointer<Float>
    ) {
        var weight = layout.weight(at: start)
        for (index, row) in rows.enumerated() {
            precondition((0..<layout.rows).contains(Int(row)), "row \(row) of \(layout.rows)")
            qat_unpack_row(output + index * layout.columns, &weight, Int(row))
        }
    }
}
