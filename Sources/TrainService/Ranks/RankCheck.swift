internal import Devices
internal import ServiceKit

/// What ranks do that a worker starts to see whether they come about.
enum RankCheck {
    /// Hears all ranks, says so on rank 0, and leaves.
    static func run(_ ranks: MPIRanks) {
        var present = [Double](repeating: 0, count: ranks.count)
        present[ranks.rank] = 1
        present.withUnsafeMutableBufferPointer { ranks.sum($0) }
        if ranks.rank == 0, present.allSatisfy({ $0 == 1 }) {
            print(RankLauncher.trialWord(ranks.count))
        }
        ranks.leave()
    }
}
