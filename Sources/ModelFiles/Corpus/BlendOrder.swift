internal import Foundation

/// Which of several texts each window of a run is of, by weight, as Megatron-Core's `BlendedDataset` has it:
/// at each window the one that is furthest behind its share.
///
/// - SeeAlso: Megatron-Core 0.16, `megatron/core/datasets/helpers.cpp`, `build_blending_indices`, and
///   `blended_megatron_dataset_builder.py`, `_get_size_per_split_per_dataset`.
public struct BlendOrder: Sendable {
    /// By window.
    public let sources: [Int16]
    /// Which of its source's windows each one is.
    public let places: [Int32]

    /// Sources of a blend, at most.
    public static let sourceLimit = 1024
    private static let limit = 1 << 27
    /// Comparisons that making an order takes, at most: some seconds.
    private static let workLimit = 1 << 32
    /// How many more windows an order is made of than its share asks for: `mid_level_dataset_surplus`.
    private static let surplus = 0.005

    /// The order of `count` windows.
    ///
    /// `weights`: Above 0; their sum is anything.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if it would not fit into memory.
    public init(weights: [Double], count: Int) throws(ModelFileError) {
        try Self.check(sources: weights.count, count: count)
        let shares = Self.shares(weights)
        var taken = [Int32](repeating: 0, count: weights.count)
        var sources: [Int16] = []
        var places: [Int32] = []
        sources.reserveCapacity(count)
        places.reserveCapacity(count)
        for window in 0..<count {
            let size = max(Double(window), 1)
            var furthest = 0
            var most = -Double.infinity
            for (source, share) in shares.enumerated() {
                let behind = share * size - Double(taken[source])
                if behind > most { (furthest, most) = (source, behind) }
            }
            sources.append(Int16(furthest))
            places.append(taken[furthest])
            taken[furthest] += 1
        }
        self.sources = sources
        self.places = places
    }

    /// Checks that an order can be made.
    ///
    /// - Throws: As ``init(weights:count:)``.
    public static func check(sources: Int, count: Int) throws(ModelFileError) {
        precondition((1...sourceLimit).contains(sources), "BlendOrder: \(sources) sources")
        guard count <= min(limit, workLimit / sources) else {
            throw ModelFileError(
                .unsupported,
                """
                the order of \(count) windows of \(sources) texts is longer than the \
                \(min(limit, workLimit / sources)) that are drawn by weight; train for fewer steps
                """
            )
        }
    }

    /// Weights by their sum.
    public static func shares(_ weights: [Double]) -> [Double] {
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    /// Windows that the order of each source is made of for a run of `count`: at least those that it gives.
    public static func sampleCounts(weights: [Double], count: Int) -> [Int] {
        shares(weights).map { share in
            let due = ceil(Double(count) * share)
            return Int(ceil(due * (1 + surplus)))
        }
    }
}
