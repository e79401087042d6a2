internal import ServiceKit

/// A training job, however often its run goes back.
enum TrainingRun {
    /// Trains, exports and answers.
    ///
    /// - Throws: What the job fails by.
    static func run(_ request: ComputeRequest, _ reporter: ComputeReporter) throws {
        var rollBack: RollBack?
        while true {
            do {
                return try TrainingLoop(request, reporter, after: rollBack).run()
            } catch let found as RollBack {
                rollBack = found
            }
        }
    }
}
