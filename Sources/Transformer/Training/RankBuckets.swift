internal import Kernels

/// How an arena is cut for ranks: into buckets from its end on, and each into parts.
///
/// All cuts are whole blocks of moments away from where a parameter begins, so that no block, and no lane of
/// a kernel, is divided otherwise than in one process.
struct RankBuckets {
    struct Bucket: Equatable {
        let range: Range<Int>
        /// The layer after which a backward pass is done with all of it; -1 for the end of the pass.
        let layer: Int
    }

    /// From the arena's end to its beginning.
    let buckets: [Bucket]
    private let starts: [Int]

    /// Cuts an arena of `total` elements.
    ///
    /// `places`: Of parameters, ascending, with gaps between them at most. `layers`: The layer of each, see
    /// ``layer(of:)``. `target`: Elements of a bucket.
    init(_ places: [Range<Int>], layers: [Int], total: Int, target: Int) {
        let starts = places.map(\.lowerBound)
        self.starts = starts
        var buckets: [Bucket] = []
        var end = total
        var ready = Int.max
        /// Cuts what lies behind `start` into pieces of one size, the last first.
        func cut(from start: Int) {
            let count = max((end - start + target - 1) / target, 1)
            let size = (end - start + count - 1) / count
            var upper = end
            for index in (0..<count).reversed() {
                let lower = index == 0 ? start : Self.cut(start + index * size, starts)
                if lower < upper { buckets.append(Bucket(range: lower..<upper, layer: ready)) }
                upper = lower
            }
            (end, ready) = (start, Int.max)
        }
        for index in places.indices.reversed() {
            // What is ready earlier does not wait for what comes much later.
            let isLate = layers[index] < 0 && ready >= 0 && ready != .max
            if isLate { cut(from: places[index].upperBound.roundedUp) }
            ready = min(ready, layers[index])
            let isLayersFirst = index == 0 || layers[index - 1] != layers[index]
            if isLayersFirst, index == 0 || end - starts[index] >= target {
                cut(from: index == 0 ? 0 : starts[index])
            }
        }
        self.buckets = buckets
    }

    /// The layer that a parameter belongs to, by its name: one that is behind all others for what comes
    /// after them, and -1 for what a backward pass is done with in the end.
    static func layer(of name: String) -> Int {
        let last = [ParameterLayout.headModule, ParameterLayout.finalNormModule]
        if last.contains(where: { name.hasPrefix($0 + ".") }) { return .max - 1 }
        let parts = name.split(separator: ".")
        guard let place = parts.firstIndex(of: "layers"), place + 1 < parts.count else { return -1 }
        return Int(parts[place + 1]) ?? -1
    }

    private static func cut(_ position: Int, _ starts: [Int]) -> Int {
        let start = starts.last { $0 <= position } ?? 0
        let block = OptimizerKernels.momentBlock
        return start + (position - start) / block * block
    }

    /// The parts of ranks in a bucket, relative to it.
    func parts(of range: Range<Int>, ranks: Int) -> [Range<Int>] {
        let start = range.lowerBound
        let cuts = (0...ranks).map { rank -> Int in
            switch rank {
            case 0: 0
            case ranks: range.count
            default: max(Self.cut(start + range.count * rank / ranks, starts), start) - start
            }
        }
        return (0..<ranks).map { cuts[$0]..<cuts[$0 + 1] }
    }
}

extension Int {
    /// To where the next parameter of an arena begins.
    fileprivate var roundedUp: Int { (self + 15) / 16 * 16 }
}
