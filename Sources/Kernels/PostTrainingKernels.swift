internal import CKernels

/// How blocks of a format are stored, as the post-training kernels see it.
public struct BlockStorage: Sendable, Hashable {
    /// The element type's constants.
    public var grid: ElementGrid
    /// NVFP4's scale of the tensor; nil where scales are powers of two.
    public var globalScale: Float?
    /// 0 floor, 1 even, 2 even_ct, 3 ceil, 4 rceil.
    public var scaleMode: Int
    /// 0 even, 1 away, 2 zero.
    public var tie: Int

    /// A storage.
    public init(grid: ElementGrid, globalScale: Float?, scaleMode: Int, tie: Int) {
        self.grid = grid
        self.globalScale = globalScale
        self.scaleMode = scaleMode
        self.tie = tie
    }

    var cFormat: qat_block_format {
        qat_block_format(
            element: grid.cElement,
            two_level: globalScale == nil ? 0 : 1,
            scale_mode: Int32(scaleMode),
            tie: Int32(tie),
            global_scale: globalScale ?? 1
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
    /// The real value of one code step under a scale byte.
    public static func step(ofScale scale: UInt8, storage: BlockStorage) -> Float {
        var format = storage.cFormat
        return qat_step_of_scale(scale, &format)
    }

    /// The scale byte of a block; `searching` keeps the neighbour with the least squared error.
    public static func scale(
        _ block: UnsafePointer<Float>,
        count: Int,
        importance: UnsafePointer<Float>?,
        storage: BlockStorage,
        searching: Bool
    ) -> UInt8 {
        var format = storage.cFormat
        return qat_choose_scale_f32(block, count, importance, &format, searching ? 1 : 0)
    }

    /// Rounds `values[rows, columns]` in place; `scales` has one byte per block.
    public static func roundRows(
        _ values: UnsafeMutablePointer<Float>,
        scales: UnsafeMutablePointer<UInt8>,
        rows: Int,
        columns: Int,
        blockSize: Int,
        importance: UnsafePointer<Float>?,
        storage: BlockStorage,
        searching: Bool
    ) {
        var format = storage.cFormat
        qat_round_rows_f32(
            values,
            scales,
            rows,
            columns,
            blockSize,
            importance,
            &format,
            searching ? 1 : 0
        )
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

    /// GPTQ on a panel of columns, scales chosen on the way.
    public static func gptqPanel(
        _ values: UnsafeMutablePointer<Float>,
        stride: Int,
        errors: UnsafeMutablePointer<Float>,
        scales: UnsafeMutablePointer<UInt8>,
        scaleStride: Int,
        rows: Int,
        width: Int,
        blockSize: Int,
        factor: UnsafePointer<Float>,
        factorStride: Int,
        importance: UnsafePointer<Float>?,
        storage: BlockStorage,
        searching: Bool
    ) {
        var format = storage.cFormat
        qat_gptq_panel_f32(
            values,
            stride,
            errors,
            scales,
            scaleStride,
            rows,
            width,
            blockSize,
            factor,
            factorStride,
            importance,
            &format,
            searching ? 1 : 0
        )
    }

    /// GPTQ on a panel of columns, each under a given step.
    public static func gptqPanel(
        _ values: UnsafeMutablePointer<Float>,
        stride: Int,
        errors: UnsafeMutablePointer<Float>,
        steps: UnsafePointer<Float>,
        stepStride: Int,
        rows: Int,
        width: Int,
        factor: UnsafePointer<Float>,
        factorStride: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_gptq_panel_fixed_f32(
            values,
            stride,
            errors,
            steps,
            stepStride,
            rows,
            width,
            factor,
            factorStride,
            &format
        )
    }
}
