internal import Testing

@testable internal import EvalService

/// pass@k against its definition.
@Suite struct PassAtKTests {
    /// Of all ways to take k of n programs, the share with at least one that passes, counted one by one.
    private func counted(_ k: Int, _ count: Int, _ passed: Int) -> Double {
        var ways = (all: 0, lucky: 0)
        for chosen in 0..<(1 << count) where chosen.nonzeroBitCount == k {
            ways.all += 1
            // The first ones pass.
            if chosen & ((1 << passed) - 1) != 0 { ways.lucky += 1 }
        }
        return Double(ways.lucky) / Double(ways.all)
    }

    @Test func isTheShareOfChoicesWithOneThatPasses() {
        for count in 1...10 {
            for passed in 0...count {
                for k in 1...count {
                    let estimate = PassAtK.estimate(k, count: count, passed: passed)
                    #expect(abs(estimate - counted(k, count, passed)) < 1e-12)
                }
            }
        }
    }

    /// With one sample it is whether that passes; with many, the share.
    @Test func passAt1IsTheShare() {
        #expect(PassAtK.estimate(1, count: 1, passed: 0) == 0)
        #expect(PassAtK.estimate(1, count: 1, passed: 1) == 1)
        #expect(abs(PassAtK.estimate(1, count: 200, passed: 57) - 57.0 / 200) < 1e-12)
        #expect(PassAtK.estimate(100, count: 200, passed: 101) == 1)
    }

    /// Its ends are the shares p of which the mean is z standard errors √(p (1 − p) / n) away.
    @Test(arguments: [(0.0, 164), (1.0, 164), (0.1, 164), (0.732, 164), (0.5, 1), (0.25, 12)])
    func intervalsAreWilsons(mean: Double, count: Int) {
        let ends = PassAtK.interval(mean: mean, count: count)
        #expect(ends.count == 2 && ends[0] <= mean && mean <= ends[1])
        #expect(ends[0] >= 0 && ends[1] <= 1)
        for end in ends where end > 0 && end < 1 {
            let error = (end * (1 - end) / Double(count)).squareRoot()
            #expect(abs(abs(mean - end) / error - 1.959963984540054) < 1e-9)
        }
    }
}
