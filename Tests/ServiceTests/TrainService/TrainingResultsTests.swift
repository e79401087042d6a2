internal import Testing

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
}
