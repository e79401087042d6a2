internal import Foundation
internal import Kernels
internal import Synchronization
internal import Testing

/// Fork and join, awake and asleep.
struct ThreadTeamTests {
    /// Every thread runs every piece of work once, and what one wrote the caller reads after it.
    @Test(arguments: [1, 2, 3, 9])
    func everyThreadRunsEveryPieceOnce(threads: Int) {
        let team = ThreadTeam(threadCount: threads)
        let counts = AlignedBuffer<Int>(count: 16 * threads)
        for round in 0..<2000 {
            // Now and then the threads have gone to sleep meanwhile.
            if round % 500 == 0 { usleep(3000) }
            team.parallel { counts.pointer[16 * $0] += 1 }
            let sum = (0..<threads).reduce(0) { $0 + counts.pointer[16 * $1] }
            guard sum == (round + 1) * threads else {
                Issue.record("round \(round): \(sum) of \((round + 1) * threads)")
                return
            }
        }
    }

    /// A thread that is late is waited for, by a caller that sleeps meanwhile.
    @Test func theCallerWaitsForLateThreads() {
        let team = ThreadTeam(threadCount: 3)
        let done = Atomic<Int>(0)
        for _ in 0..<5 {
            team.parallel { index in
                if index > 0 { usleep(5000) }
                done.add(1, ordering: .relaxed)
            }
        }
        #expect(done.load(ordering: .relaxed) == 15)
    }

    /// A team that ends wakes its sleeping threads, or this would hang; one that never worked, too.
    @Test func teamsEnd() {
        for round in 0..<20 {
            let team = ThreadTeam(threadCount: 4)
            if round % 2 == 0 { team.parallel { _ in } }
            if round % 4 < 2 { usleep(2000) }
        }
    }
}
