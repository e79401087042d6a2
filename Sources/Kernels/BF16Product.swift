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

    /// The operand whose items are the product's columns.
    enum Columns {
        /// Packed for this product.
        case matrix(Operand)
        /// Panels of these items, which ``pack(_:items:depth:into:)`` made.
        case panels(UnsafePointer<UInt32>)
        /// Panels of the transposed matrix: of `depth` items by as many elements as there are columns.
        case transposed(UnsafePointer<UInt32>)
    }

    private let team: ThreadTeam
    // One caller at a time, as the team has it.
    private var rowPanels = Scratch<UInt32>()
    private var columnPanels = Scratch<UInt32>()

    init(team: ThreadTeam) { self.team = team }

    /// Words of the panels that hold `items` columns of a product.
    static func wordCount(items: Int, depth: Int) -> Int {
        Panels(items: items, depth: depth, width: Int(QAT_PRODUCT_COLUMNS)).wordCount
    }

    /// Rounds and packs columns once for many products.
    func pack(_ b: Operand, items: Int, depth: Int, into panels: UnsafeMutablePointer<UInt32>) {
        let columns = Panels(items: items, depth: depth, width: Int(QAT_PRODUCT_COLUMNS))
        team.parallel { [team] index in
            Self.pack(b, columns, columns.share(of: index, among: team.threadCount), into: panels)
        }
    }

    private static func pack(
        _ operand: Operand,
        _ panels: Panels,
        _ share: Range<Int>,
        into words: UnsafeMutablePointer<UInt32>
    ) {
        var source = qat_product_source(
            source: operand.start,
            item_stride: operand.itemStride,
            depth_stride: operand.depthStride,
            items: panels.items,
            depth: panels.depth
        )
        qat_pack_bf16(words, &source, panels.width, share.lowerBound, share.upperBound)
    }

    /// `c[m, n] (+)= a[m, k] · b[n, k]ᵀ`, `b` by its columns of the product.
    func multiply(
        _ c: MatrixProduct.Output,
        _ a: Operand,
        _ b: Columns,
        shape: (m: Int, n: Int, k: Int),
        isAccumulating: Bool
    ) {
        let rows = Panels(items: shape.m, depth: shape.k, width: Int(QAT_PRODUCT_ROWS))
        let columns = Panels(items: shape.n, depth: shape.k, width: Int(QAT_PRODUCT_COLUMNS))
        let packedRows = rowPanels.reserve(rows.wordCount)
        let together = panelsTogether(of: b, columns)
        for first in stride(from: 0, to: columns.count, by: together) {
            let group = first..<min(first + together, columns.count)
            let packedColumns = panels(of: b, columns, group)
            team.parallel { [team] index in
                if first == 0 {
                    let own = rows.share(of: index, among: team.threadCount)
                    Self.pack(a, rows, own, into: packedRows)
                }
                let own = group.share(of: index, among: team.threadCount)
                switch b {
                case .panels: break
                case .matrix(let operand): Self.pack(operand, columns, own, into: packedColumns)
                case .transposed(let words):
                    var source = qat_product_panels(panels: words, items: shape.k, depth: shape.n)
                    let place = packedColumns + (own.lowerBound - first) * columns.panelWordCount
                    qat_transpose_bf16(place, &source, own.lowerBound, own.upperBound)
                }
            }
            let column = first * columns.width
            let product = qat_product(
                a: packedRows,
                b: packedColumns,
                c: c.start + column,
                c_stride: c.stride,
                rows: shape.m,
                columns: min(group.count * columns.width, shape.n - column),
                depth: shape.k,
                alpha: 1,
                accumulate: isAccumulating ? 1 : 0
            )
            multiply(product, rowPanels: rows.count, columnPanels: group.count)
        }
    }

    private func multiply(_ product: qat_product, rowPanels: Int, columnPanels: Int) {
        var product = product
        // The longer side is shared: its panels are many.
        let sharesRows = product.rows > product.columns
        team.parallel { [team] index in
            let all = 0..<(sharesRows ? rowPanels : columnPanels)
            let own = all.share(of: index, among: team.threadCount)
            let (r, q) = sharesRows ? (own, 0..<columnPanels) : (0..<rowPanels, own)
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
        var panelWordCount: Int { width * ((depth + 1) / 2) }

        func share(of index: Int, among threads: Int) -> Range<Int> {
            (0..<count).share(of: index, among: threads)
        }
    }

    /// Words of transposed panels that are made at a time, as long as that leaves each thread four panels:
    /// those of a whole head would take as much as the head.
    private static let transposedWords = 1 << 24

    /// How many of a transposed matrix's panels are made at a time.
    private static func panelsTogether(_ columns: Panels, threads: Int) -> Int {
        max(transposedWords / max(columns.panelWordCount, 1), 4 * threads)
    }

    /// Words of the largest group of panels of a matrix `[rows, columns]` that is transposed for a product
    /// of `rows` in depth.
    static func transposedWordCount(rows: Int, columns: Int, threads: Int) -> Int {
        let panels = Panels(items: columns, depth: rows, width: Int(QAT_PRODUCT_COLUMNS))
        return min(panelsTogether(panels, threads: threads), panels.count) * panels.panelWordCount
    }

    /// Panels of columns that are there at once: all of them, but for those that are transposed first.
    private func panelsTogether(of b: Columns, _ columns: Panels) -> Int {
        guard case .transposed = b else { return max(columns.count, 1) }
        return Self.panelsTogether(columns, threads: team.threadCount)
    }

    /// Where a group of panels of a product's columns are, or will be: those that were packed before are only
    /// read.
    private func panels(
        of b: Columns,
        _ columns: Panels,
        _ group: Range<Int>
    ) -> UnsafeMutablePointer<UInt32> {
        guard case .panels(let words) = b else {
            return columnPanels.reserve(group.count * columns.panelWordCount)
        }
        return UnsafeMutablePointer(mutating: words)
    }
}

extension Range<Int> {
    /// A thread's part of what all of them share, in order.
    fileprivate func share(of index: Int, among threads: Int) -> Range<Int> {
        lowerBound + count * index / threads..<lowerBound + count * (index + 1) / threads
    }
}
