/// Chooses a format per group so that errors add up to least within a budget of stored bits.
public enum BitAllocation {
    /// A choice.
    public struct Choice: Sendable, Equatable {
        /// The chosen candidate of each group, in the groups' order.
        public var candidates: [Int]
        /// Stored bits per weight over all groups.
        public var bitsPerWeight: Double
    }

    /// The choice for a budget, in stored bits per weight over all groups.
    ///
    /// By dynamic programming over the bits spent beyond each group's cheapest candidate. Exact where
    /// these have a common divisor that leaves few enough sums, as the layers of one model do; else
    /// sizes are rounded up to a 65,536th of the room, so the budget holds.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if the cheapest candidates exceed the budget.
    /// - Complexity: O(groups · candidates · 65,536).
    public static func choose(
        _ groups: [LayerSensitivity],
        bitsPerWeight budget: Double
    ) throws -> Choice {
        let weights = Double(groups.reduce(0) { $0 + $1.weightCount })
        guard weights > 0 else {
            throw TransformerError(.invalidRecipe, "effective_bits: no layer takes part")
        }
        let cheapest = groups.map { $0.candidates.map(\.bitCount).min() ?? 0 }
        let room = budget * weights - cheapest.reduce(0, +)
        guard room >= -1e-6 * weights else {
            throw TransformerError(
                .invalidRecipe,
                """
                effective_bits: \(budget) bits per weight are fewer than the \
                \(cheapest.reduce(0, +) / weights) of the smallest candidates
                """
            )
        }
        let highest = groups.map { $0.candidates.map(\.bitCount).max() ?? 0 }
        let most = zip(highest, cheapest).reduce(0) { $0 + $1.0 - $1.1 }
        let chosen =
            room >= most
            ? groups.map(leastError)
            : spend(room, on: groups, cheapest: cheapest)
        let bits = zip(groups, chosen).reduce(0) { $0 + $1.0.candidates[$1.1].bitCount }
        return Choice(candidates: chosen, bitsPerWeight: bits / weights)
    }

    private static func leastError(_ group: LayerSensitivity) -> Int {
        group.candidates.indices.min {
            group.candidates[$0].error < group.candidates[$1].error
        } ?? 0
    }

    private static func spend(
        _ room: Double,
        on groups: [LayerSensitivity],
        cheapest: [Double]
    ) -> [Int] {
        let extras = zip(groups, cheapest).flatMap { group, floor in
            group.candidates.map { Int($0.bitCount - floor) }
        }
        let divisor = Double(max(extras.reduce(0, greatestCommonDivisor), 1))
        let slots = 65_536.0
        let grain = room / divisor <= slots ? divisor : room / slots
        let capacity = Int(max(room, 0) / grain + 1e-9)
        var least = [Double](repeating: 0, count: capacity + 1)
        var decisions: [[UInt8]] = []
        for (group, floor) in zip(groups, cheapest) {
            let costs = group.candidates.map { units($0.bitCount - floor, grain) }
            var next = [Double](repeating: .infinity, count: capacity + 1)
            var decision = [UInt8](repeating: 0, count: capacity + 1)
            for spent in 0...capacity {
                for (index, cost) in costs.enumerated() where cost <= spent {
                    let error = least[spent - cost] + group.candidates[index].error
                    if error < next[spent] {
                        next[spent] = error
                        decision[spent] = UInt8(index)
                    }
                }
            }
            least = next
            decisions.append(decision)
        }
        var left = capacity
        var chosen = [Int](repeating: 0, count: groups.count)
        for index in groups.indices.reversed() {
            let group = groups[index]
            chosen[index] = Int(decisions[index][left])
            left -= units(
                group.candidates[chosen[index]].bitCount - cheapest[index],
                grain
            )
        }
        return chosen
    }

    /// Bits in grains, rounded up.
    private static func units(_ bits: Double, _ grain: Double) -> Int {
        Int((bits / grain - 1e-9).rounded(.up))
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
        var (a, b) = (a, b)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }
}
