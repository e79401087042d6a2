public import Formats

/// How a cache keeps keys and values.
public enum CacheEncoding: Sendable, Hashable {
    /// As they are.
    case float32
    /// Rounded to BF16.
    case bfloat16
    /// In a format: under a scale per tensor, or under block scales that are found in each head of a row.
    case quantized(QuantizationFormat)

    /// Elements come in so many at least: those of a block, or as many as fill bytes.
    public var granularity: Int {
        switch self {
        case .float32, .bfloat16: 1
        case .quantized(let format):
            format.scaleKind.hasBlocks ? format.blockSize : 8 / format.element.bitWidth.gcd(with: 8)
        }
    }
}

extension Int {
    /// The greatest common divisor.
    fileprivate func gcd(with other: Int) -> Int {
        other == 0 ? self : other.gcd(with: self % other)
    }
}

/// How the keys, or the values, of one layer lie in pages.
///
/// A page holds ``rows`` positions of one sequence, head by head: first the codes of all heads, then
/// their block scales. Position p of a page's head follows p - 1 without a gap.
public struct PageLayout: Sendable, Hashable {
    /// What elements are stored as.
    public let encoding: CacheEncoding
    /// Positions per page.
    public let rows: Int
    /// Heads of keys and values.
    public let heads: Int
    /// Elements per head.
    public let dimension: Int

    /// A layout.
    ///
    /// - Precondition: `dimension` is a multiple of the encoding's ``CacheEncoding/granularity``.
    public init(encoding: CacheEncoding, rows: Int, heads: Int, dimension: Int) {
        precondition(
            rows > 0 && heads > 0 && dimension > 0 && dimension % encoding.granularity == 0,
            "pages of \(rows) rows of \(heads) heads of \(dimension)"
        )
        self.encoding = encoding
        self.rows = rows
        self.heads = heads
        self.dimension = dimension
    }

    /// Bytes of one head's codes of one position.
    var codeByteCount: Int {
        switch encoding {
        case .float32: 4 * dimension
        case .bfloat16: 2 * dimension
        case .quantized(let format): dimension * format.element.bitWidth / 8
        }
    }

    /// Bytes of one head's block scales of one position.
    var scaleByteCount: Int {
        guard case .quantized(let format) = encoding else { return 0 }
        return format.blockScaleCount(rows: 1, columns: dimension)
    }

    /// Bytes of a page, a multiple of 64.
    public var pageByteCount: Int {
        (rows * heads * (codeByteCount + scaleByteCount) + 63) / 64 * 64
    }

    /// Where in a page a head's codes of a position begin.
    func codes(head: Int, row: Int) -> Int { (head * rows + row) * codeByteCount }

    /// Where in a page a head's block scales of a position begin.
    func scales(head: Int, row: Int) -> Int {
        heads * rows * codeByteCount + (head * rows + row) * scaleByteCount
    }
}

/// The keys, or the values, of one layer: all pages of all sequences.
public struct PagedRows: Sendable {
    /// Uint8, one page per row.
    public let pages: DeviceTensor
    /// What a page holds where.
    public let layout: PageLayout
    /// The value of one step of formats with a scale per tensor, or of one unit of their block scales.
    public let scale: Float

    /// Pages of a layout.
    ///
    /// - Precondition: `pages` has rows of a page's bytes.
    public init(pages: DeviceTensor, layout: PageLayout, scale: Float = 1) {
        precondition(pages.columns == layout.pageByteCount && pages.type == .uint8, "pages")
        self.pages = pages
        self.layout = layout
        self.scale = scale
    }
}

/// Which sequences the rows of a pass are of, and where their keys and values lie.
public struct PagedBatch: Sendable {
    /// Each row's position in its sequence, int32, one element per row.
    public let positions: DeviceTensor
    /// Each row's sequence, a row of ``tables``; int32, one element per row.
    ///
    /// Rows of a sequence stand together, in order of their positions.
    public let sequences: DeviceTensor
    /// The pages of each sequence in order of positions, int32 `[sequences, pages]`.
    public let tables: DeviceTensor
    /// Rows of the pass.
    public let rows: Int
    /// No row's position is beyond it.
    public let lastPosition: Int

    /// Rows of a pass.
    public init(
        positions: DeviceTensor,
        sequences: DeviceTensor,
        tables: DeviceTensor,
        rows: Int,
        lastPosition: Int
    ) {
        self.positions = positions
        self.sequences = sequences
        self.tables = tables
        self.rows = rows
        self.lastPosition = lastPosition
    }
}

/// Attention of the rows of a pass, each over the positions of its own sequence up to itself.
public struct PagedAttentionOperation: Sendable {
    /// Whose rows.
    public let batch: PagedBatch
    /// Scale, cap and window.
    public let scores: AttentionScores

    /// An attention.
    public init(batch: PagedBatch, scores: AttentionScores) {
        self.batch = batch
        self.scores = scores
    }
}
