internal import Testing
@testable internal import Transformer

@testable internal import TrainService

@Suite struct TrainingResultsTests {
    /// `(ptq - qat) / (ptq - baseline)`, where there is something to share.
    @Test(
        arguments: [
            (40, 50, 42, 0.8), (40, 50, 55, -0.5), (40, 40.4, 40, 1), (40, 40.04, 37.4, nil),
            (40, 40, 39, nil), (40, 39, 38, nil),
        ] as [(Double, Double, Double, Double?)]
    )
    func aShareOfNextToNothingIsNone(
        baseline: Double,
        ptq: Double,
        qat: Double,
        share: Double?
    ) throws {
        let found = TrainingResults.recovered(baseline: baseline, ptq: ptq, qat: qat)
        #expect((found == nil) == (share == nil))
        if let found, let share { #expect(abs(found - share) < 1e-9) }
        #expect(TrainingResults.recovered(baseline: nil, ptq: ptq, qat: qat) == nil)
    }

    /// A resumed attempt has the intervals that its checkpoint has; none of one window, and of a
    /// checkpoint from before they were kept.
    @Test func intervalsComeThroughACheckpoint() {
        func result(_ value: Double, _ interval: [Double]?) -> PerplexityResult {
            PerplexityResult(
                perplexity: value,
                confidenceInterval: interval,
                meanLoss: 1,
                accuracy: 0.5,
                accuracyInterval: nil,
                windowCount: 4,
                targetCount: 12
            )
        }
        var values = ["other": 1.0]
        TrainingResults.keep(result(41.95, [33.69, 52.22]), as: .baseline, in: &values)
        TrainingResults.keep(result(48.06, nil), as: .ptq, in: &values)
        #expect(
            values == [
                "other": 1, "baseline": 41.95, "baseline.low": 33.69, "baseline.high": 52.22,
                "ptq": 48.06,
            ]
        )
        #expect(TrainingResults.interval(of: .baseline, in: values) == [33.69, 52.22])
        #expect(TrainingResults.interval(of: .ptq, in: values) == nil)
        #expect(TrainingResults.interval(of: .start, in: values) == nil)
    }

    /// What was measured of one format is not another's.
    @Test func formatsAreKeptApart() {
        func result(_ value: Double) -> PerplexityResult {
            PerplexityResult(
                perplexity: value,
                confidenceInterval: [value - 1, value + 1],
                meanLoss: 1,
                accuracy: 0.5,
                accuracyInterval: nil,
                windowCount: 4,
                targetCount: 12
            )
        }
        var values: [String: Double] = [:]
        for (format, value) in [("mxfp8", 43.5), ("mxfp4", 72.5)] {
            TrainingResults.keep(result(value), as: .ptq, format: format, in: &values)
        }
        #expect(values["ptq.mxfp8"] == 43.5 && values["ptq.mxfp4"] == 72.5)
        #expect(TrainingResults.interval(of: .ptq, format: "mxfp4", in: values) == [71.5, 73.5])
        #expect(TrainingResults.interval(of: .ptq, in: values) == nil)
    }
}
