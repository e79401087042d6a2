internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct BlendOrderTests {
    /// Which corpus each window is of, and its tokens, against BlendedDataset.
    @Test func drawsWindowsAsMegatronBlendsThem() throws {
        let fixture = try CorpusFixture.load()
        #expect(fixture.blends.count == 4)
        for expected in fixture.blends {
            let corpora = try ["corpus-uint16", "corpus-second"].map {
                try CorpusDocuments([CorpusFixture.open($0)])
            }
            // Borders of splits are tested with those.
            let borders: [String: [Range<Int>]] = [
                "100,0,0": [0..<31, 0..<9], "90,10,0": [0..<28, 0..<8],
            ]
            let counts = BlendOrder.sampleCounts(
                weights: expected.weights,
                count: expected.samples
            )
            let orders = try corpora.indices.map { index in
                try SampleOrder(
                    corpora[index].documents(#require(borders[expected.split])[index]),
                    length: expected.length,
                    samples: counts[index],
                    seed: expected.seed
                )
            }
            let blend = try BlendOrder(weights: expected.weights, count: expected.samples)
            #expect(blend.sources == expected.sources)
            for (number, window) in expected.windows.enumerated() {
                var found = [Int32](repeating: -1, count: expected.length)
                try orders[Int(blend.sources[number])].copy(
                    Int(blend.places[number]),
                    to: &found,
                    vocabularySize: 300
                )
                #expect(found == window, "window \(number) of \(expected.weights)")
            }
        }
    }

    /// A source gives its share of any beginning of the run, to a window.
    @Test func sharesHoldFromTheBeginning() throws {
        let weights = [5.0, 1, 3, 0.02]
        let blend = try BlendOrder(weights: weights, count: 1000)
        var counts = [0, 0, 0, 0]
        for (window, source) in blend.sources.enumerated() {
            #expect(Int(blend.places[window]) == counts[Int(source)])
            counts[Int(source)] += 1
            for (count, weight) in zip(counts, weights) {
                #expect(abs(Double(count) - weight / 9.02 * Double(window + 1)) < 2)
            }
        }
    }

    @Test func refusesOrdersThatDoNotFit() {
        for (sources, count) in [(1, 1 << 28), (1024, 1 << 23), (2, Int.max)] {
            let error = #expect(throws: ModelFileError.self) {
                try BlendOrder.check(sources: sources, count: count)
            }
            #expect(error?.message.contains("train for fewer steps") == true)
        }
        #expect(throws: Never.self) { try BlendOrder.check(sources: 32, count: 1 << 27) }
    }
}
