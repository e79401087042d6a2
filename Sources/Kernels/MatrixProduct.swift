internal import CBLAS

/// What the operands of a linear layer's products are rounded to; sums are FP32.
public enum OperandPrecision: Sendable, Equatable {
    /// As they are.
    case float32
    /// BF16, where ``isSupported``.
    case bfloat16

    /// Whether this processor multiplies operands of this kind itself.
    public var isSupported: Bool { self == .float32 || BF16Product.isSupported }
}

/// Single-precision matrix products by OpenBLAS, sliced over a ``ThreadTeam``; those of linear layers
/// with operands rounded to BF16 where that is asked for.
///
/// OpenBLAS itself is pinned to one thread: each member of the team computes its own slice of the
/// output, so the threads of a process stay bounded to the team.
///
/// Results do not depend on the number of threads. An element is summed alike wherever slices of rows
/// begin, as long as that is at a multiple of 12 (OpenBLAS's kernels for Haswell and Zen take rows by
/// 12; those for other x86-64 processors by divisors of it) and no slice is so small that kernels for
/// small matrices take it. Slices of columns are not as lenient: where they are needed, the shape alone
/// decides on them.
public struct MatrixProduct: Sendable {
    /// Slices of rows begin at its multiples.
    private static let rowGrain = 12
    /// Multiplications in a slice of rows: small-matrix kernels take up to a million.
    private static let minimumWork = 1 << 20
    /// From here on a product is cut by rows, however wide it is.
    private static let manyRows = 512

    private let team: ThreadTeam
    private let rounded: BF16Product?
    /// What linear layers multiply.
    public let operands: OperandPrecision

    /// Products computed by the threads of `team`; a processor that does not multiply BF16 computes
    /// with FP32 operands.
    public init(team: ThreadTeam, operands: OperandPrecision = .float32) {
        openblas_set_num_threads(1)
        self.team = team
        self.operands = operands
        rounded = operands == .bfloat16 && operands.isSupported ? BF16Product(team: team) : nil
    }

    /// Shares `rows` among the threads; each takes `work` multiplications.
    private func forRows(_ rows: Int, work: Int, _ body: (Range<Int>) -> Void) {
        let needed = Self.minimumWork / max(work, 1) + 1
        let grain = (needed + Self.rowGrain - 1) / Self.rowGrain * Self.rowGrain
        // The rows that make no whole grain go with the last one.
        let grains = max(rows / grain, 1)
        team.parallelFor(count: grains) { range in
            let end = range.upperBound == grains ? rows : range.upperBound * grain
            body(range.lowerBound * grain..<end)
        }
    }

    /// Shares an output `[rows, columns]` of few rows among the threads, by columns first.
    private func forTiles(
        rows: Int,
        columns: Int,
        _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
    ) {
        var slices = 1
        while slices < 64, columns / (2 * slices) >= 144 { slices *= 2 }
        let width = ((columns + slices - 1) / slices + 15) / 16 * 16
        // Where threads are left over, rows are cut too; those may be cut anywhere.
        let parts = max(min(team.threadCount / slices, rows / 48), 1)
        let height = (rows / parts + Self.rowGrain) / Self.rowGrain * Self.rowGrain
        team.parallelFor(count: slices * parts) { range in
            for tile in range {
                let row = min(tile / slices * height, rows)
                let column = min(tile % slices * width, columns)
                let (rowEnd, columnEnd) = (min(row + height, rows), min(column + width, columns))
                if row < rowEnd, column < columnEnd { body(row..<rowEnd, column..<columnEnd) }
            }
        }
    }

    /// A linear layer's weight `[N, K]`, as products read it.
    public enum Weight {
        /// Row by row.
        case rows(UnsafePointer<Float>)
        /// As ``pack(_:rows:columns:into:)`` left it.
        case packed(UnsafePointer<UInt32>)
    }

    /// Words that a weight takes once it is packed, with operands of a precision; 0 where products read
    /// rows alone.
    public static func packedCount(rows: Int, columns: Int, operands: OperandPrecision) -> Int {
        guard operands == .bfloat16, operands.isSupported else { return 0 }
        return BF16Product.wordCount(items: rows, depth: columns)
    }

    /// The same of these products.
    public func packedCount(rows: Int, columns: Int) -> Int {
        Self.packedCount(rows: rows, columns: columns, operands: operands)
    }

    /// Words into which the packed weight of a linear layer is transposed, as much of it as is at once, for
    /// products of its output's gradient; 0 where products read rows alone.
    public static func transposedCount(
        rows: Int,
        columns: Int,
        operands: OperandPrecision,
        threads: Int
    ) -> Int {
        guard operands == .bfloat16, operands.isSupported else { return 0 }
        return BF16Product.transposedWordCount(rows: rows, columns: columns, threads: threads)
    }

    /// Rounds a weight `[rows, columns]` and puts it in the order that products read it in, once for all
    /// products of it; into ``packedCount(rows:columns:)`` words.
    public func pack(
        _ weight: UnsafePointer<Float>,
        rows: Int,
        columns: Int,
        into words: UnsafeMutablePointer<UInt32>
    ) {
        rounded?.pack(
            .init(start: weight, itemStride: columns, depthStride: 1),
            items: rows,
            depth: columns,
            into: words
        )
    }

    private static func unpacked(_ weight: Weight) -> UnsafePointer<Float> {
        guard case .rows(let start) = weight else {
            preconditionFailure("a packed weight in products of FP32 operands")
        }
        return start
    }

    /// `output[M, N] = input[M, K] · weight[N, K]ᵀ`: a linear layer's forward pass.
    public func linear(
        output: UnsafeMutablePointer<Float>,
        input: UnsafePointer<Float>,
        weight: Weight,
        rows: Int,
        inputWidth: Int,
        outputWidth: Int
    ) {
        if let rounded {
            let columns: BF16Product.Columns =
                switch weight {
                case .packed(let words): .panels(words)
                case .rows(let start):
                    .matrix(.init(start: start, itemStride: inputWidth, depthStride: 1))
                }
            return rounded.multiply(
                Output(output, stride: outputWidth),
                .init(start: input, itemStride: inputWidth, depthStride: 1),
                columns,
                shape: (rows, outputWidth, inputWidth),
                isAccumulating: false
            )
        }
        let weight = Self.unpacked(weight)
        func multiply(_ rows: Range<Int>, _ columns: Range<Int>) {
            cblas_sgemm(
                CblasRowMajor,
                CblasNoTrans,
                CblasTrans,
                blasint(rows.count),
                blasint(columns.count),
                blasint(inputWidth),
                1,
                input + rows.lowerBound * inputWidth,
                blasint(inputWidth),
                weight + columns.lowerBound * inputWidth,
                blasint(inputWidth),
                0,
                output + rows.lowerBound * outputWidth + columns.lowerBound,
                blasint(outputWidth)
            )
        }
        if rows >= min(outputWidth, Self.manyRows) {
            forRows(rows, work: outputWidth * inputWidth) { multiply($0, 0..<outputWidth) }
        } else {
            forTiles(rows: rows, columns: outputWidth, multiply)
        }
    }

    /// `inputGradient[M, K] (+)= outputGradient[M, N] · weight[N, K]`.
    ///
    /// `accumulating`: 1 adds to what `inputGradient` holds, 0 overwrites it.
    public func linearInputGradient(
        _ inputGradient: UnsafeMutablePointer<Float>,
        accumulating: Float,
        outputGradient: UnsafePointer<Float>,
        weight: Weight,
        rows: Int,
        inputWidth: Int,
        outputWidth: Int
    ) {
        if let rounded {
            let columns: BF16Product.Columns =
                switch weight {
                case .packed(let words): .transposed(words)
                case .rows(let start):
                    .matrix(.init(start: start, itemStride: 1, depthStride: inputWidth))
                }
            return rounded.multiply(
                Output(inputGradient, stride: inputWidth),
                .init(start: outputGradient, itemStride: outputWidth, depthStride: 1),
                columns,
                shape: (rows, inputWidth, outputWidth),
                isAccumulating: accumulating != 0
            )
        }
        let weight = Self.unpacked(weight)
        forRows(rows, work: inputWidth * outputWidth) { range in
            cblas_sgemm(
                CblasRowMajor,
                CblasNoTrans,
                CblasNoTrans,
                blasint(range.count),
                blasint(inputWidth),
                blasint(outputWidth),
                1,
                outputGradient + range.lowerBound * outputWidth,
                blasint(outputWidth),
                weight,
                blasint(inputWidth),
                accumulating,
                inputGradient + range.lowerBound * inputWidth,
                blasint(inputWidth)
            )
        }
    }

    /// `weightGradient[N, K] += outputGradient[M, N]ᵀ · input[M, K]`.
    public func linearWeightGradient(
        _ weightGradient: UnsafeMutablePointer<Float>,
        outputGradient: UnsafePointer<Float>,
        input: UnsafePointer<Float>,
        rows: Int,
        inputWidth: Int,
        outputWidth: Int
    ) {
        if let rounded {
            return rounded.multiply(
                Output(weightGradient, stride: inputWidth),
                .init(start: outputGradient, itemStride: 1, depthStride: outputWidth),
                .matrix(.init(start: input, itemStride: 1, depthStride: inputWidth)),
                shape: (outputWidth, inputWidth, rows),
                isAccumulating: true
            )
        }
        forRows(outputWidth, work: rows * inputWidth) { range in
            cblas_sgemm(
                CblasRowMajor,
                CblasTrans,
                CblasNoTrans,
                blasint(range.count),
                blasint(inputWidth),
                blasint(rows),
                1,
                outputGradient + range.lowerBound,
                blasint(outputWidth),
                input,
                blasint(inputWidth),
                1,
                weightGradient + range.lowerBound * inputWidth,
                blasint(inputWidth)
            )
        }
    }

    /// A row-major matrix that is read.
    public struct Operand {
        let start: UnsafePointer<Float>
        let stride: Int

        /// A matrix from `start`; its rows begin `stride` elements apart.
        public init(_ start: UnsafePointer<Float>, stride: Int) {
            self.start = start
            self.stride = stride
        }
    }

    /// A row-major matrix that is written.
    public struct Output {
        let start: UnsafeMutablePointer<Float>
        let stride: Int

        /// A matrix from `start`; its rows begin `stride` elements apart.
        public init(_ start: UnsafeMutablePointer<Float>, stride: Int) {
            self.start = start
            self.stride = stride
        }
    }

    /// One product on the calling thread: `c[m, n] = a[m, k] · b[n, k]ᵀ`.
    public static func timesTransposed(
        _ c: Output,
        _ a: Operand,
        _ b: Operand,
        shape: (m: Int, n: Int, k: Int)
    ) {
        multiply(c, a, b, (CblasNoTrans, CblasTrans), shape, scale: 1, accumulating: 0)
    }

    /// One product on the calling thread: `c[m, n] (+)= scale · a[m, k] · b[k, n]`.
    ///
    /// `accumulating`: 1 adds to what `c` holds, 0 overwrites it.
    public static func times(
        _ c: Output,
        _ a: Operand,
        _ b: Operand,
        shape: (m: Int, n: Int, k: Int),
        scale: Float = 1,
        accumulating: Float = 0
    ) {
        multiply(
            c,
            a,
            b,
            (CblasNoTrans, CblasNoTrans),
            shape,
            scale: scale,
            accumulating: accumulating
        )
    }

    /// One product on the calling thread: `c[m, n] += a[k, m]ᵀ · b[k, n]`.
    public static func transposedTimes(
        _ c: Output,
        _ a: Operand,
        _ b: Operand,
        shape: (m: Int, n: Int, k: Int)
    ) {
        multiply(c, a, b, (CblasTrans, CblasNoTrans), shape, scale: 1, accumulating: 1)
    }

    private static func multiply(
        _ c: Output,
        _ a: Operand,
        _ b: Operand,
        _ transposed: (CBLAS_TRANSPOSE, CBLAS_TRANSPOSE),
        _ shape: (m: Int, n: Int, k: Int),
        scale: Float,
        accumulating: Float
    ) {
        cblas_sgemm(
            CblasRowMajor,
            transposed.0,
            transposed.1,
            blasint(shape.m),
            blasint(shape.n),
            blasint(shape.k),
            scale,
            a.start,
            blasint(a.stride),
            b.start,
            blasint(b.stride),
            accumulating,
            c.start,
            blasint(c.stride)
        )
    }

    /// `Σ a · b` on the calling thread, summed in double precision.
    public static func dot(
        _ a: UnsafePointer<Float>,
        _ b: UnsafePointer<Float>,
        count: Int
    ) -> Double {
        cblas_dsdot(blasint(count), a, 1, b, 1)
    }
}
