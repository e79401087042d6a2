internal import Foundation
internal import Testing

@testable internal import Questions

/// Against SciPy, NumPy and Python; see `Fixtures/make_statistics_fixtures.py`.
@Suite struct StatisticsTests {
    private struct Exact: Decodable {
        let wins: Int
        let losses: Int
        let p: Double
    }

    private struct Bootstrap: Decodable {
        let values: [Double]
        let clusters: [String]?
        let interval: [Double]
    }

    private struct Samples: Decodable {
        let count: Int
        let population: Int
        let draws: [[Int]]
    }

    private struct Expected: Decodable {
        let exact: [Exact]
        let bootstrap: [Bootstrap]
        let samples: [Samples]
    }

    private let expected: Expected

    init() throws {
        let path = try ChoiceFixture.path("expected/statistics.json")
        expected = try JSONDecoder().decode(
            Expected.self,
            from: Data(contentsOf: URL(filePath: path))
        )
    }

    @Test func exactProbabilitiesAreSciPys() {
        for test in expected.exact {
            let own = PairedComparison.exactProbability(test.wins, test.losses)
            #expect(abs(own - test.p) <= 1e-9 * test.p + 1e-15, "\(test)")
        }
    }

    /// Both draw at random: the ends of 10,000 draws lie within a hundredth of those of 200,000.
    @Test func intervalsAreNumPys() throws {
        for test in expected.bootstrap {
            let clusters: [String?] = test.clusters ?? test.values.map { _ in nil }
            let bootstrap = ClusterBootstrap(test.values, clusters: clusters, seed: 1)
            let own = try #require(bootstrap.interval)
            for (end, wanted) in zip(own, test.interval) { #expect(abs(end - wanted) <= 0.01) }
            #expect(bootstrap.interval == own)
        }
        #expect(ClusterBootstrap([1], clusters: [nil], seed: 1).interval == nil)
    }

    @Test func examplesAreDrawnAsPythonDraws() {
        for test in expected.samples {
            var random = PythonRandom(seed: 1234)
            let own = test.draws.map { _ in random.sample(test.count, of: test.population) }
            #expect(own == test.draws)
        }
    }

    @Test func pairsCountWhatDiffers() {
        let own: [Double] = [1, 1, 0, 1, 0, 1]
        let reference: [Double] = [1, 0, 1, 0, 0, 0]
        let found = PairedComparison(
            own,
            reference: reference,
            clusters: own.map { _ in nil },
            isBinary: true,
            seed: 1
        )
        #expect(found.wins == 3 && found.losses == 1)
        #expect(abs(found.difference - 1 / 3) <= 1e-12)
        // (1 + 4) / 16 of the binomial distribution of four, twice.
        #expect(abs((found.probability ?? 0) - 0.625) <= 1e-12)
        let shares = PairedComparison(
            own,
            reference: reference,
            clusters: own.map { _ in nil },
            isBinary: false,
            seed: 1
        )
        #expect(shares.wins == nil && shares.probability == nil)
    }

    /// Made with Python 3.11.7.
    @Test(arguments: [
        ("éTUDE x", "Étude x"), ("ǆabc", "ǅabc"), ("ΑΣ. ΣΑ", "Ας. σα"), ("ΣΑΣ", "Σας"), ("", ""),
        ("1A", "1a"),
    ])
    func wordsAreCapitalizedAsInPython(_ text: String, _ wanted: String) {
        #expect(Array(text.pythonCapitalized.unicodeScalars) == Array(wanted.unicodeScalars))
    }
}
