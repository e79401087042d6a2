internal import Foundation
internal import Testing

@testable internal import Questions

/// Against SciPy and NumPy; see `Fixtures/make_window_fixtures.py`.
@Suite struct WindowComparisonTests {
    private struct Case: Decodable {
        let figure: String
        let own: [Double]
        let reference: [Double]
        let targets: [Int]
        let difference: Double
        let interval: [Double]
        let p: Double

        var windows: [WindowComparison.Window] {
            own.indices.map { .init(own: own[$0], reference: reference[$0], targets: targets[$0]) }
        }

        func compared(seed: UInt64) -> WindowComparison {
            WindowComparison(windows, figure == "mean" ? .mean : .exponential, seed: seed)
        }
    }

    private let cases: [Case]

    init() throws {
        let path = try ChoiceFixture.path("expected/windows.json")
        cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: URL(filePath: path)))
    }

    /// Ends of 10,000 draws lie within a tenth of the interval's width of those of 200,000; up to 13 windows the
    /// probability is the same, of more within what 10,000 draws tell.
    @Test func differencesAreSciPysAndNumPys() throws {
        for test in cases {
            let own = test.compared(seed: 3)
            #expect(abs(own.difference - test.difference) <= 1e-9 * max(1, abs(test.difference)))
            let interval = try #require(own.interval)
            let width = test.interval[1] - test.interval[0]
            for (end, wanted) in zip(interval, test.interval) {
                #expect(abs(end - wanted) <= 0.1 * width, "\(test.figure) \(interval)")
            }
            let probability = try #require(own.probability)
            let least = test.own.count <= 13 ? 1e-12 : 0.02
            #expect(abs(probability - test.p) <= least, "\(test.figure) \(probability)")
            #expect(test.compared(seed: 3) == own)
        }
    }

    @Test func oneWindowHasNoSpread() {
        let one = WindowComparison([.init(own: 2, reference: 1, targets: 4)], .mean, seed: 1)
        #expect(one.difference == 0.25 && one.interval == nil && one.probability == nil)
    }

    /// Of the same figures every choice of signs is as far.
    @Test func equalModelsDoNotDiffer() {
        let windows = (1...20).map {
            WindowComparison.Window(own: Double($0), reference: Double($0), targets: 7)
        }
        let same = WindowComparison(windows, .exponential, seed: 1)
        #expect(same.difference == 0 && same.interval == [0, 0] && same.probability == 1)
    }
}
