/// The chance that of k programs for a problem at least one passes, from more than k of them.
enum PassAtK {
    /// The unbiased estimate for a problem: 1 − C(n − c, k) / C(n, k).
    ///
    /// - Parameters:
    ///   - k: Programs that are looked at, 1 … `count`.
    ///   - count: Programs there are, n.
    ///   - passed: Programs that pass, c, 0 … `count`.
    /// - Returns: In 0 … 1.
    /// - SeeAlso: Chen et al. 2021, arXiv:2107.03374, equation 1 and figure 3.
    static func estimate(_ k: Int, count: Int, passed: Int) -> Double {
        precondition((1...count).contains(k) && (0...count).contains(passed), "\(k) \(count)")
        guard count - passed >= k else { return 1 }
        // The product of the paper, whose factors stay between 0 and 1.
        var allFail = 1.0
        for number in (count - passed + 1)..<(count + 1) {
            allFail *= 1 - Double(k) / Double(number)
        }
        return 1 - allFail
    }

    /// Both ends of the 95 % interval of a mean of values within 0 … 1: Wilson's score interval.
    ///
    /// It is made for shares, each value 0 or 1. Values between spread less, so it holds for them, too, and is rather
    /// too wide. All or none passed leaves it a width.
    ///
    /// - Parameters:
    ///   - mean: In 0 … 1.
    ///   - count: Problems, 1 at least.
    /// - Returns: The lower end, and the upper one.
    /// - SeeAlso: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    static func interval(mean: Double, count: Int) -> [Double] {
        let z = 1.959963984540054
        let n = Double(count)
        let center = (mean + z * z / (2 * n)) / (1 + z * z / n)
        let variance: Double = mean * (1 - mean) / n + z * z / (4 * n * n)
        let half = z / (1 + z * z / n) * variance.squareRoot()
        // Rounding leaves the mean within, also where it is an end.
        return [max(0, min(mean, center - half)), min(1, max(mean, center + half))]
    }
}
