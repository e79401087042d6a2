internal import CBLAS

/// Cholesky factors of inverses, by LAPACK in double precision.
public enum InverseFactor {
    /// The upper factor `U` of `inverse(matrix)`, with `Uᵀ · U = inverse(matrix)`, row-major.
    ///
    /// `matrix`: Symmetric, `[n, n]`. Returns nil unless it is positive definite.
    public static func upper(_ matrix: [Double], n: Int) -> [Float]? {
        precondition(matrix.count == n * n, "InverseFactor: \(matrix.count) elements, n \(n)")
        var a = matrix
        // LAPACK's lower triangle by columns is the upper one by rows.
        var size = blasint(n)
        var status: blasint = 0
        var lower = Int8(UInt8(ascii: "L"))
        dpotrf_(&lower, &size, &a, &size, &status)
        guard status == 0 else { return nil }
        dpotri_(&lower, &size, &a, &size, &status)
        guard status == 0 else { return nil }
        dpotrf_(&lower, &size, &a, &size, &status)
        guard status == 0 else { return nil }
        var factor = [Float](repeating: 0, count: n * n)
        for row in 0..<n {
            for column in row..<n { factor[row * n + column] = Float(a[row * n + column]) }
        }
        return factor
    }
}
