internal import CKernels

/// Matrix products of operands rounded to BF16, with FP32 sums, on processors that multiply BF16.
///
/// An element's sum depends on its row, its column and the depth alone: the same bits for every number
/// of threads. Packed operands lie in memory of the product's own, which grows to the largest and stays.
/// Not for concurrent use.
final class BF16Product: @unchecked Sendable {
    /// Whether this processor has the instructions.
    static var isSupported: Bool { qat_has_bf16_product() != 0 }

    /// A matrix of `items` by `depth` FP32 elements; one of both strides is 1.
    struct Operand {
        let start: UnsafePointer<Float>
        let itemStride: Int
        let depthStride: Int
    }

    private let team: ThreadTeam
    // One caller at a time, as the team has it.
    private var rowPanels = Scratch<UInt32>()
    private var columnPanels = Scratch<UInt32>()

    init(team: ThreadTeam) { self.team = team }

    /// `c[m, n] (+)= a[m, k] · b[n, k]ᵀ`, `b` by its columns of the product.
    func multiply(
        _ c: MatrixProduct.Output,
        _ a: Operand,
        _ b: Operand,
        shape: (m: Int, n: Int, k: Int),
        isAccumulating: Bool
    ) {
        let rows = Panels(items: shape.m, depth: shape.k, width: Int(QAT_PRODUCT_ROWS))
        let columns = Panels(items: shape.n, depth: shape.k, width: Int(QAT_PRODUCT_COLUMNS))
        let packedRows = rowPanels.reserve(rows.wordCount)
        let packedColumns = columnPanels.reserve(columns.wordCount)
        var rowSource = Self.source(a, rows)
        var columnSource = Self.source(b, columns)
        team.parallel { [team] index in
            let own = rows.share(of: index, among: team.threadCount)
            qat_pack_bf16(packedRows, &rowSource, rows.width, own.lowerBound, own.upperBound)
            let other = columns.share(of: index, among: team.threadCount)
            qat_pack_bf16(
                packedColumns,
                &columnSource,
                columns.width,
                other.lowerBound,
                other.upperBound
            )
        }
        var product = qat_product(
            a: packedRows,
            b: packedColumns,
            c: c.start,
            c_stride: c.stride,
            rows: shape.m,
            columns: shape.n,
            depth: shape.k,
            alpha: 1,
            accumulate: isAccumulating ? 1 : 0
        )
        // The longer side is shared: its panels are many.
        let sharesRows = shape.m > shape.n
        team.parallel { [team] index in
            let own = (sharesRows ? rows : columns).share(of: index, among: team.threadCount)
            let (r, q) = sharesRows ? (own, 0..<columns.count) : (0..<rows.count, own)
            qat_product_bf16(&product, r.lowerBound, r.upperBound, q.lowerBound, q.upperBound)
        }
    }

    /// How an operand is cut.
    private struct Panels {
        let items: Int
        let depth: Int
        let width: Int

        var count: Int { (items + width - 1) / width }
        var wordCount: Int { qat_product_words(items, depth, width) }

        func share(of index: Int, among threads: Int) -> Range<Int> {
            count * index / threads..<count * (index + 1) / threads
        }
    }

    private static func source(_ operand: Operand, _ panels: Panels) -> qat_product_source {
        qat_product_source(
            source: operand.start,
            item_stride: operand.itemStride,
            depth_stride: operand.depthStride,
            items: panels.items,
            depth: panels.depth
        )
    }
}
