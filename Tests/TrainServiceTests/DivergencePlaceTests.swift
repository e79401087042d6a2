internal import Foundation
internal import Testing

@testable internal import TrainService

/// The layer that a divergence shows in first.
@Suite struct DivergencePlaceTests {
    private static func layer(std: Double, error: Double = 0.01) -> LayerFigures {
        let values: [LayerFigure: Double] = [.std: std, .amax: 1, .meanAbsoluteError: error]
        return LayerFigures { values[$0] }
    }

    private static func row(
        _ step: Int,
        _ layers: [String: LayerFigures],
        stage: String = "mxfp4",
        format: String? = nil
    ) -> RunHistory.Row {
        .init(step: step, time: 0, stage: stage, format: format, values: [:], layers: layers)
    }

    private static func row(_ step: Int, _ deviations: [String: Double]) -> RunHistory.Row {
        row(step, deviations.mapValues { layer(std: $0) })
    }

    /// At step 30 b is the larger one; at step 20 it was a that had jumped.
    @Test func theFirstJumpIsNamed() throws {
        let rows = [Self.row(10, ["a": 0.1, "b": 0.1]), Self.row(20, ["a": 0.2, "b": 0.11])]
        let last = Self.row(30, ["a": 0.3, "b": 0.9])
        let found = try #require(DivergencePlace.sentence(rows, began: 15, last: last))
        #expect(found == "it shows first in a (std of its weights: 0.1, by step 20 0.2)")
        let later = try #require(DivergencePlace.sentence(rows, began: 25, last: last))
        #expect(later.contains("first in b (std of its weights: 0.11, by step 30 0.9)"))
        #expect(DivergencePlace.sentence(rows, began: 10, last: last) == nil)
    }

    @Test func whatHardlyChangedIsSaidSo() throws {
        let last = Self.row(30, ["a": 0.11, "b": 0.12])
        let rows = [Self.row(10, ["a": 0.1, "b": 0.1])]
        let found = try #require(DivergencePlace.sentence(rows, began: 15, last: last))
        #expect(found.hasPrefix("no layer's weights jumped; most changed b (std"))
    }

    @Test func whatIsBeyondAllNumbersJumped() throws {
        let last = Self.row(30, ["a": Self.layer(std: 0.1), "b": Self.layer(std: .nan)])
        let rows = [Self.row(10, ["a": 0.1, "b": 0.1])]
        let found = try #require(DivergencePlace.sentence(rows, began: 15, last: last))
        #expect(found == "it shows first in b (std of its weights: 0.1, by step 30 inf)")
    }

    /// Seen: of every run for mxfp4 and mxfp8 each layer's error "jumped" by five, and so it did where a stage had
    /// changed since.
    ///
    /// Errors are compared with those of the same format in the same stage, weights with all.
    @Test(
        arguments: [("mxfp8", "mxfp4", "mxfp4"), ("mxfp8", nil, nil)]
            as [(String, String?, String?)]
    )
    func errorsAreComparedInOneFormat(other: String, format: String?, last: String?) throws {
        let isSeveral = format != nil
        func layers(_ error: Double, std: Double = 0.1) -> [String: LayerFigures] {
            ["a": Self.layer(std: std, error: error), "b": Self.layer(std: 0.1, error: error)]
        }
        let eight = Self.row(10, layers(0.01), stage: other, format: isSeveral ? other : nil)
        let four = Self.row(9, layers(0.049), stage: "mxfp4", format: format)
        func sentence(_ rows: [RunHistory.Row], _ layers: [String: LayerFigures]) throws -> String {
            let last = Self.row(30, layers, stage: "mxfp4", format: last)
            return try #require(DivergencePlace.sentence(rows, began: 15, last: last))
        }
        // Nothing of this format is known: what is said is of the weights.
        let change = try sentence([eight], layers(0.05))
        #expect(change.hasPrefix("no layer's weights jumped; most changed a (std"), "\(change)")
        let moved = try sentence([eight], layers(0.05, std: 0.3))
        #expect(moved == "it shows first in a (std of its weights: 0.1, by step 30 0.3)")
        // With its own format's the error counts, too, and the newer row of the other does not.
        let same = try sentence([four, eight], layers(0.05))
        #expect(same.hasPrefix("no layer's weights jumped; most changed"), "\(same)")
        let jumped = try sentence([four, eight], layers(0.147))
        #expect(
            jumped
                == "it shows first in a (mean absolute error of its weights: 0.049, by step 30 0.147)"
        )
    }
}
