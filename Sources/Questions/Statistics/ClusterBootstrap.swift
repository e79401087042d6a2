internal import Transformer

/// Intervals of means by the bootstrap: clusters are drawn with replacement, and what is in them with
/// them, since questions of a subject are not independent of each other.
///
/// Of fewer than two clusters, single values are drawn. Intervals are percentiles at 95 %.
///
/// - SeeAlso: Miller 2024, "Adding error bars to evals", arXiv:2411.00640; Efron and Tibshirani 1993.
public struct ClusterBootstrap: Sendable {
    /// Draws of all clusters.
    public static let drawCount = 10_000

    private let sums: [(sum: Double, count: Int)]
    private let seed: UInt64

    /// The bootstrap of values in clusters.
    ///
    /// `clusters`: What each value belongs to, as many; nil is a cluster of its own.
    public init(_ values: [Double], clusters: [String?], seed: UInt64) {
        precondition(values.count == clusters.count, "a cluster for each value")
        self.seed = seed
        let names = Set(clusters.compactMap { $0 })
        guard names.count > 1 else {
            sums = values.map { ($0, 1) }
            return
        }
        // In the order of values: draws depend on nothing else.
        var places: [String: Int] = [:]
        var sums: [(sum: Double, count: Int)] = []
        for (value, cluster) in zip(values, clusters) {
            if let cluster, let place = places[cluster] {
                sums[place].sum += value
                sums[place].count += 1
            } else {
                if let cluster { places[cluster] = sums.count }
                sums.append((value, 1))
            }
        }
        self.sums = sums
    }

    /// Both ends of the mean's interval; nil where there is one value or cluster to draw from.
    public var interval: [Double]? {
        guard sums.count > 1 else { return nil }
        var random = SplitMix64(seed: seed)
        var means: [Double] = []
        means.reserveCapacity(Self.drawCount)
        for _ in 0..<Self.drawCount {
            var (sum, count) = (0.0, 0)
            for _ in sums.indices {
                let drawn = sums[random.below(sums.count)]
                sum += drawn.sum
                count += drawn.count
            }
            means.append(sum / Double(count))
        }
        return Self.ends(of: means)
    }

    /// Both ends of the middle 95 % of what was drawn.
    static func ends(of drawn: [Double]) -> [Double] {
        let sorted = drawn.sorted()
        return [quantile(0.025, of: sorted), quantile(0.975, of: sorted)]
    }

    /// By linear interpolation, as NumPy's.
    private static func quantile(_ share: Double, of sorted: [Double]) -> Double {
        let place = share * Double(sorted.count - 1)
        let low = Int(place)
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
    }
}
