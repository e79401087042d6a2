internal import Foundation
internal import Testing

@testable internal import TrainService

/// The layer that a divergence shows in first.
@Suite struct DivergencePlaceTests {
    private static func layer(std: Double) throws -> LayerFigures {
        let text = """
            {"mean": 0, "std": \(std), "min": -1, "max": 1, "amax": 1, "mean_absolute_error": 0.01}
            """
        return try JSONDecoder().decode(LayerFigures.self, from: Data(text.utf8))
    }

    private static func row(
        _ step: Int,
        _ deviations: [String: Double]
    ) throws -> RunHistory.Row {
        let layers = try deviations.mapValues(layer)
        return .init(step: step, time: 0, stage: "", values: [:], layers: layers)
    }

    /// At step 30 b is the larger one; at step 20 it was a that had jumped.
    @Test func theFirstJumpIsNamed() throws {
        let rows = [
            try Self.row(10, ["a": 0.1, "b": 0.1]), try Self.row(20, ["a": 0.2, "b": 0.11]),
        ]
        let last = (
            step: 30, layers: ["a": try Self.layer(std: 0.3), "b": try Self.layer(std: 0.9)]
        )
        let found = try #require(DivergencePlace.sentence(rows, began: 15, last: last))
        #expect(found == "it shows first in a (std of its weights: 0.1, by step 20 0.2)")
        let later = try #require(DivergencePlace.sentence(rows, began: 25, last: last))
        #expect(later.contains("first in b (std of its weights: 0.11, by step 30 0.9)"))
        #expect(DivergencePlace.sentence(rows, began: 10, last: last) == nil)
    }

    @Test func whatHardlyChangedIsSaidSo() throws {
        let last = (
            step: 30, layers: ["a": try Self.layer(std: 0.11), "b": try Self.layer(std: 0.12)]
        )
        let rows = [try Self.row(10, ["a": 0.1, "b": 0.1])]
        let found = try #require(DivergencePlace.sentence(rows, began: 15, last: last))
        #expect(found.hasPrefix("no layer's weights jumped; most changed b (std"))
    }
}
