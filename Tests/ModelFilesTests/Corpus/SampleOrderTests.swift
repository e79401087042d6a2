internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct SampleOrderTests {
    private let fixture: CorpusFixture

    init() throws { fixture = try CorpusFixture.load() }

    @Test func shufflesAsNumPy() {
        for expected in fixture.shuffles {
            var generator = MersenneTwister(seed: expected.seed)
            for order in expected.orders {
                var values = Array(0..<Int32(expected.count))
                generator.shuffle(&values[...])
                #expect(values == order)
            }
        }
    }

    @Test func permutesAsPyTorch() {
        for expected in fixture.permutations {
            var generator = MersenneTwister(seed: expected.seed)
            #expect(generator.permutation(expected.count) == expected.order)
        }
    }

    /// Within an epoch, with a last epoch of its own and with one that is mixed with the others, over shares
    /// of the documents, an empty one among them.
    @Test func readsWindowsInMegatronsOrder() throws {
        let all = try CorpusDocuments([CorpusFixture.open("corpus-uint16")])
        for expected in fixture.orders {
            // Borders of splits are tested with those.
            let border: [String: Range<Int>] = [
                "100,0,0": 0..<31, "90,10,0": 0..<28, "80,15,5": 25..<29,
            ]
            let documents = all.documents(try #require(border[expected.split]))
            let order = try SampleOrder(
                documents,
                length: expected.length,
                samples: expected.samples,
                seed: expected.seed
            )
            #expect(order.count == expected.windows.count)
            for (number, window) in expected.windows.enumerated() {
                var found = [Int32](repeating: -1, count: expected.length)
                try order.copy(number, to: &found, vocabularySize: 300)
                #expect(found == window, "window \(number) of \(expected.samples ?? 0)")
            }
        }
    }

    @Test func refusesOrdersThatDoNotFit() throws {
        let all = try CorpusDocuments([CorpusFixture.open("corpus-uint16")])
        let short = #expect(throws: ModelFileError.self) {
            try SampleOrder(all, length: 895, samples: nil, seed: 1)
        }
        #expect(short?.code == .tooShort)
        for samples in [Int.max, 1 << 40] {
            let long = #expect(throws: ModelFileError.self) {
                try SampleOrder.check(all, length: 16, samples: samples)
            }
            #expect(long?.message.contains("takes more than 134217728 entries") == true)
        }
    }

    @Test func cyclesLeaveOutWhatFillsNoBatch() {
        let cycle = CyclicOrder(windows: 11, batch: 4)
        #expect(cycle.count == 8)
        #expect(cycle.epoch(3).sorted() == Array(0..<8))
        #expect(cycle.epoch(3) != cycle.epoch(4) && cycle.epoch(3) == cycle.epoch(3))
    }
}
