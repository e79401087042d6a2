internal import CKernels

/// How the scale of a block is found.
public struct BlockScaleSearch {
    /// Which scales are tried.
    public enum Candidates: Sendable {
        /// The one that the largest magnitude asks for.
        case largest
        /// That one and its neighbours; the least squared error wins.
        case neighbours
        /// Every E4M3 scale there is; powers of two: neighbours.
        case all

        var cSearch: Int32 {
            switch self {
            case .largest: Int32(QAT_SEARCH_NONE)
            case .neighbours: Int32(QAT_SEARCH_ERROR)
            case .all: Int32(QAT_SEARCH_SWEEP)
            }
        }
    }

    /// Which scales are tried.
    public var candidates: Candidates
    /// A block's largest magnitude counts as no more than this.
    public var amaxLimit: Float
    /// Weights of the columns' squared errors; nil for equal ones.
    public var importance: UnsafePointer<Float>?

    /// A search.
    public init(
        _ candidates: Candidates,
        amaxLimit: Float = .infinity,
        importance: UnsafePointer<Float>? = nil
    ) {
        self.candidates = candidates
        self.amaxLimit = amaxLimit
        self.importance = importance
    }

    var cSearch: qat_scale_search {
        qat_scale_search(
            search: candidates.cSearch,
            amax_limit: amaxLimit,
            importance: importance
        )
    }
}

/// What rounding did to values, in sums.
public struct RoundingSums: Sendable {
    /// Σx.
    public var sum: Double
    /// Σx².
    public var squares: Double
    /// Σ|x - q(x)|.
    public var absoluteError: Double
    /// Σ(x - q(x))².
    public var squaredError: Double
    /// Smallest x.
    public var minimum: Float
    /// Largest x.
    public var maximum: Float

    /// The sums over both sets of values.
    public func adding(_ other: RoundingSums) -> RoundingSums {
        RoundingSums(
            sum: sum + other.sum,
            squares: squares + other.squares,
            absoluteError: absoluteError + other.absoluteError,
            squaredError: squaredError + other.squaredError,
            minimum: min(minimum, other.minimum),
            maximum: max(maximum, other.maximum)
        )
    }
}

/// Rounding after training: scale search and GPTQ; see `qat_ptq.h`.
public enum PostTrainingKernels {
    /// The scale byte of a block; the search's importance begins at the block.
    public static func scale(
        _ block: UnsafePointer<Float>,
        count: Int,
        storage: BlockStorage,
        search: BlockScaleSearch
    ) -> UInt8 {
        var format = storage.cFormat
        var search = search.cSearch
        return qat_choose_scale_f32(block, count, &format, &search)
    }

    /// Rounds `values[rows, columns]` in place; `scales` has one byte per block.
    public static func roundRows(
        _ values: UnsafeMutablePointer<Float>,
        scales: UnsafeMutablePointer<UInt8>,
        rows: Int,
        columns: Int,
        blockSize: Int,
        storage: BlockStorage,
        search: BlockScaleSearch
    ) {
        var format = storage.cFormat
        var search = search.cSearch
        qat_round_rows_f32(values, scales, rows, columns, blockSize, &format, &search)
    }

    /// Codes of values that are multiples of their block's step.
    public static func encodeRows(
        codes: UnsafeMutablePointer<UInt8>,
        _ values: UnsafePointer<Float>,
        scales: UnsafePointer<UInt8>,
        rows: Int,
        columns: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_encode_rows_f32(codes, values, scales, rows, columns, blockSize, &format)
    }

    /// Sums of what rounding did to `count` values.
    public static func compare(
        _ values: UnsafePointer<Float>,
        _ rounded: UnsafePointer<Float>,
        count: Int
    ) -> RoundingSums {
        var c = qat_comparison()
        qat_compare_f32(values, rounded, count, &c)
        return RoundingSums(
            sum: c.sum,
            squares: c.squares,
            absoluteError: c.absolute_error,
            squaredError: c.squared_error,
            minimum: c.low,
            maximum: c.high
        )
    }

    /// Columns of a weight that GPTQ rounds in one go.
    public struct Panel {
        /// See ``init(values:errors:factor:rows:width:columns:)``.
        public let values: UnsafeMutablePointer<Float>
        /// See ``init(values:errors:factor:rows:width:columns:)``.
        public let errors: UnsafeMutablePointer<Float>
        /// See ``init(values:errors:factor:rows:width:columns:)``.
        public let factor: UnsafePointer<Float>
        /// See ``init(values:errors:factor:rows:width:columns:)``.
        public let rows: Int
        /// See ``init(values:errors:factor:rows:width:columns:)``.
        public let width: Int
        /// See ``init(values:errors:factor:rows:width:columns:)``.
        public let columns: Int

        /// The panel whose first element is `values`, `[rows, width]` of a weight of `columns` columns.
        ///
        /// `errors`: Receives what rounding changed, `[rows, width]`. `factor`: The inverse factor's
        /// element at the panel's first column, in both directions; its rows are `columns` long, too.
        public init(
            values: UnsafeMutablePointer<Float>,
            errors: UnsafeMutablePointer<Float>,
            factor: UnsafePointer<Float>,
            rows: Int,
            width: Int,
            columns: Int
        ) {
            self.values = values
            self.errors = errors
            self.factor = factor
            self.rows = rows
            self.width = width
            self.columns = columns
        }
    }

    /// GPTQ on a panel of whole blocks, scales chosen on the way.
    ///
    /// `scales`: Of the panel's first block; rows of scales are `scaleStride` apart.
    public static func gptqPanel(
        _ panel: Panel,
        scales: UnsafeMutablePointer<UInt8>,
        scaleStride: Int,
        blockSize: Int,
        storage: BlockStorage,
        search: BlockScaleSearch
    ) {
        var format = storage.cFormat
        var search = search.cSearch
        qat_gptq_panel_f32(
            panel.values,
            panel.columns,
            panel.errors,
            scales,
            scaleStride,
            panel.rows,
            panel.width,
            blockSize,
            panel.factor,
            panel.columns,
            &format,
            &search
        )
    }

    /// GPTQ on a panel of elements under given steps.
    ///
    /// `steps`: Of the panel's first element; rows are as long as the weight's.
    public static func gptqPanel(
        _ panel: Panel,
        steps: UnsafePointer<Float>,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_gptq_panel_fixed_f32(
            panel.values,
            panel.columns,
            panel.errors,
            steps,
            panel.columns,
            panel.rows,
            panel.width,
            panel.factor,
            panel.columns,
            &format
        )
    }
}
