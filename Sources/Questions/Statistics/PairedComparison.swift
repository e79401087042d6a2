#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Two models on the same questions.
public struct PairedComparison: Sendable, Equatable {
    /// Mean of the model's values less that of the reference's.
    public let difference: Double
    /// Its 95 % interval by the bootstrap over questions' differences, clustered; nil of one.
    public let interval: [Double]?
    /// Questions that the model answers rightly and the reference does not; nil of values between 0 and 1.
    public let wins: Int?
    /// The other way round.
    public let losses: Int?
    /// McNemar's exact probability that wins and losses differ as much by chance, two-sided.
    public let probability: Double?

    /// Compares values of the same questions.
    ///
    /// `isBinary`: Whether they are 0 or 1.
    public init(
        _ values: [Double],
        reference: [Double],
        clusters: [String?],
        isBinary: Bool,
        seed: UInt64
    ) {
        precondition(values.count == reference.count && !values.isEmpty, "paired values")
        let differences = zip(values, reference).map { $0 - $1 }
        difference = differences.reduce(0, +) / Double(differences.count)
        interval = ClusterBootstrap(differences, clusters: clusters, seed: seed).interval
        guard isBinary else {
            (wins, losses, probability) = (nil, nil, nil)
            return
        }
        let (won, lost) = (differences.count { $0 > 0 }, differences.count { $0 < 0 })
        (wins, losses) = (won, lost)
        probability = Self.exactProbability(won, lost)
    }

    /// McNemar's exact test: twice the binomial tail of the fewer among all that differ, at most 1.
    ///
    /// - SeeAlso: McNemar 1947, doi:10.1007/BF02295996.
    static func exactProbability(_ wins: Int, _ losses: Int) -> Double {
        let n = Double(wins + losses)
        let tail = (0...min(wins, losses)).reduce(0.0) { total, k in
            let k = Double(k)
            return total + exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * M_LN2)
        }
        return min(2 * tail, 1)
    }
}
