internal import Transformer

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Two models on the same windows of a text.
///
/// Windows of one text are long against what binds its words, so that they count as independent; what is hard
/// for one model is hard for the other, and only their differences tell the models apart.
public struct WindowComparison: Sendable, Equatable {
    /// One window: the sums of either model over the same targets.
    public struct Window: Sendable, Equatable {
        /// The model's sum: of losses in nats, or of hits.
        public var own: Double
        /// The reference's.
        public var reference: Double
        /// Targets; at least 1.
        public var targets: Int

        /// A window.
        public init(own: Double, reference: Double, targets: Int) {
            self.own = own
            self.reference = reference
            self.targets = targets
        }
    }

    /// What is told of a text: its mean per target, or the exponential of that.
    public enum Figure: Sendable {
        /// Of hits: the share.
        case mean
        /// Of losses: the perplexity.
        case exponential
    }

    /// The model's figure less the reference's.
    public let difference: Double
    /// Its 95 % interval, percentiles of 10,000 bootstrap draws of windows; nil of one window.
    public let interval: [Double]?
    /// How often signs drawn at random for the windows' differences sum up to as much as those seen,
    /// two-sided; nil of one window.
    public let probability: Double?

    /// Up to so many windows every choice of signs is looked at.
    private static let exactCount = 13
    private static let drawCount = 10_000

    /// Compares windows, at least one; `seed`: of the draws.
    public init(_ windows: [Window], _ figure: Figure, seed: UInt64) {
        precondition(!windows.isEmpty, "windows to compare")
        difference = Self.difference(windows, figure) { $0 }
        guard windows.count > 1 else {
            (interval, probability) = (nil, nil)
            return
        }
        var random = SplitMix64(seed: seed)
        let drawn = (0..<Self.drawCount).map { _ in
            Self.difference(windows, figure) { _ in random.below(windows.count) }
        }
        interval = ClusterBootstrap.ends(of: drawn)
        probability = Self.probability(windows.map { $0.own - $0.reference }, &random)
    }

    private static func difference(
        _ windows: [Window],
        _ figure: Figure,
        _ place: (Int) -> Int
    ) -> Double {
        var (own, reference, targets) = (0.0, 0.0, 0)
        for index in windows.indices {
            let window = windows[place(index)]
            own += window.own
            reference += window.reference
            targets += window.targets
        }
        let (a, b) = (own / Double(targets), reference / Double(targets))
        return switch figure {
        case .mean: a - b
        case .exponential: exp(a) - exp(b)
        }
    }

    /// Fisher's randomization test of paired differences; of more than 13, by 10,000 draws, of which what was
    /// seen is one.
    ///
    /// - SeeAlso: Fisher 1935, The Design of Experiments, section 21; Phipson and Smyth 2010,
    ///   doi:10.2202/1544-6115.1585.
    static func probability(_ differences: [Double], _ random: inout SplitMix64) -> Double {
        let seen = abs(differences.reduce(0, +))
        // Sums of the same numbers in another order may differ in their last bits.
        let least = seen - 1e-12 * differences.reduce(0) { $0 + abs($1) }
        func total(_ signs: UInt64, from first: Int, _ sum: Double) -> Double {
            differences[first...].prefix(64).enumerated().reduce(sum) { sum, window in
                let isKept = signs >> UInt64(window.offset) & 1 == 0
                return sum + (isKept ? window.element : -window.element)
            }
        }
        guard differences.count > exactCount else {
            let all = UInt64(1) << UInt64(differences.count)
            let count = (0..<all).count { abs(total($0, from: 0, 0)) >= least }
            return Double(count) / Double(all)
        }
        let count = (0..<drawCount - 1).count { _ in
            var sum = 0.0
            for first in stride(from: 0, to: differences.count, by: 64) {
                sum = total(random.next(), from: first, sum)
            }
            return abs(sum) >= least
        }
        return Double(count + 1) / Double(drawCount)
    }
}
