internal import Foundation

/// Student's t distribution.
enum StudentT {
    /// The 97.5 % quantile: half of the distribution's width that holds 95 %.
    ///
    /// `degrees`: Degrees of freedom, 1 at least. Exact to ten digits at least.
    static func quantile975(_ degrees: Int) -> Double {
        let degrees = Double(degrees)
        // P(|T| > t) falls from 1 to 0; 0.05 lies where the quantile is. The value at one degree is the
        // largest of all: tan(0.475 pi).
        var (low, high) = (1.9, 12.8)
        for _ in 0..<200 {
            let middle = (low + high) / 2
            guard middle > low, middle < high else { break }
            if outside(middle, degrees) > 0.05 { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }

    /// P(|T| > t) = I(x; n / 2, 1 / 2) with x = n / (n + t^2), the regularized incomplete beta function.
    private static func outside(_ t: Double, _ degrees: Double) -> Double {
        let (a, b) = (degrees / 2, 0.5)
        let x = degrees / (degrees + t * t)
        let y = t * t / (degrees + t * t)
        let front = exp(
            lgamma(a + b) - lgamma(a) - lgamma(b) + a * -log1p(t * t / degrees) + b * log(y)
        )
        // Of the two continued fractions the one that converges fast.
        return x < (a + 1) / (a + b + 2)
            ? front * fraction(x, a, b) / a : 1 - front * fraction(y, b, a) / b
    }

    /// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
    private static func fraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
        let tiny = 1e-300
        var numerator = 1.0
        var denominator = 1 - (a + b) * x / (a + 1)
        denominator = 1 / (abs(denominator) < tiny ? tiny : denominator)
        var value = denominator
        for step in 1..<10_000 {
            let m = Double(step)
            for term in [
                m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
            ] {
                denominator = 1 + term * denominator
                denominator = 1 / (abs(denominator) < tiny ? tiny : denominator)
                numerator = 1 + term / numerator
                if abs(numerator) < tiny { numerator = tiny }
                value *= denominator * numerator
            }
            if abs(denominator * numerator - 1) < 1e-16 { break }
        }
        return value
    }
}
