internal import CBLAS

/// Single-precision matrix products by OpenBLAS, sliced over a ``ThreadTeam``.
///
/// OpenBLAS itself is pinned to one thread: each member of the team computes its own slice of the
/// output, so the threads of a process stay bounded to the team and results do not depend on how
/// OpenBLAS would have split the work.
public struct MatrixProduct: Sendable {
    private let team: ThreadTeam

    /// Products computed by the threads of `team`.
    public init(team: ThreadTeam) {
        openblas_set_num_threads(1)
        self.team = team
    }

    /// `output[M, N] = input[M, K] · weight[N, K]ᵀ`: a linear layer's forward pass.
    public func linear(
        output: UnsafeMutablePointer<Float>,
        input: UnsafePointer<Float>,
        weight: UnsafePointer<Float>,
        rows: Int,
        inputWidth: Int,
        outputWidth: Int
    ) {
        // Splitting the longer side keeps each slice's panels long.
        if rows >= outputWidth {
            team.parallelFor(count: rows, grain: 8) { range in
                cblas_sgemm(
                    CblasRowMajor,
                    CblasNoTrans,
                    CblasTrans,
                    blasint(range.count),
                    blasint(outputWidth),
                    blasint(inputWidth),
                    1,
                    input + range.lowerBound * inputWidth,
                    blasint(inputWidth),
                    weight,
                    blasint(inputWidth),
                    0,
                    output + range.lowerBound * outputWidth,
                    blasint(outputWidth)
                )
            }
        } else {
            team.parallelFor(count: outputWidth, grain: 16) { range in
                cblas_sgemm(
                    CblasRowMajor,
                    CblasNoTrans,
                    CblasTrans,
                    blasint(rows),
                    blasint(range.count),
                    blasint(inputWidth),
                    1,
                    input,
                    blasint(inputWidth),
                    weight + range.lowerBound * inputWidth,
                    blasint(inputWidth),
                    0,
                    output + range.lowerBound,
                    blasint(outputWidth)
                )
            }
        }
    }

    /// `inputGradient[M, K] (+)= outputGradient[M, N] · weight[N, K]`.
    ///
    /// `accumulating`: 1 adds to what `inputGradient` holds, 0 overwrites it.
    public func linearInputGradient(
        _ inputGradient: UnsafeMutablePointer<Float>,
        accumulating: Float,
        outputGradient: UnsafePointer<Float>,
        weight: UnsafePointer<Float>,
        rows: Int,
        inputWidth: Int,
        outputWidth: Int
    ) {
        team.parallelFor(count: rows, grain: 8) { range in
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
        team.parallelFor(count: outputWidth, grain: 16) { range in
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

    /// One strided product on the calling thread: `c[m, n] = a[m, k] · b[n, k]ᵀ`.
    ///
    /// `a`, `b` and `c` have the given row strides, in elements.
    public static func timesTransposed(
        c: UnsafeMutablePointer<Float>,
        cStride: Int,
        a: UnsafePointer<Float>,
        aStride: Int,
        b: UnsafePointer<Float>,
        bStride: Int,
        m: Int,
        n: Int,
        k: Int
    ) {
        cblas_sgemm(
            CblasRowMajor,
            CblasNoTrans,
            CblasTrans,
            blasint(m),
            blasint(n),
            blasint(k),
            1,
            a,
            blasint(aStride),
            b,
            blasint(bStride),
            0,
            c,
            blasint(cStride)
        )
    }

    /// One strided product on the calling thread: `c[m, n] (+)= scale · a[m, k] · b[k, n]`.
    public static func times(
        c: UnsafeMutablePointer<Float>,
        cStride: Int,
        scale: Float = 1,
        accumulating: Float,
        a: UnsafePointer<Float>,
        aStride: Int,
        b: UnsafePointer<Float>,
        bStride: Int,
        m: Int,
        n: Int,
        k: Int
    ) {
        cblas_sgemm(
            CblasRowMajor,
            CblasNoTrans,
            CblasNoTrans,
            blasint(m),
            blasint(n),
            blasint(k),
            scale,
            a,
            blasint(aStride),
            b,
            blasint(bStride),
            accumulating,
            c,
            blasint(cStride)
        )
    }

    /// One strided product on the calling thread: `c[m, n] += a[k, m]ᵀ · b[k, n]`.
    public static func transposedTimes(
        c: UnsafeMutablePointer<Float>,
        cStride: Int,
        a: UnsafePointer<Float>,
        aStride: Int,
        b: UnsafePointer<Float>,
        bStride: Int,
        m: Int,
        n: Int,
        k: Int
    ) {
        cblas_sgemm(
            CblasRowMajor,
            CblasTrans,
            CblasNoTrans,
            blasint(m),
            blasint(n),
            blasint(k),
            1,
            a,
            blasint(aStride),
            b,
            blasint(bStride),
            1,
            c,
            blasint(cStride)
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
