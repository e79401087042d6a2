internal import ServiceKit

/// A training job, however often its run goes back.
enum TrainingRun {
    /// Trains, exports and answers; `ranks`: the processes that train with this one.
    ///
    /// - Throws: What the job fails by.
    static func run(
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        ranks: LeadingRank? = nil
    ) throws {
        let recorder = RunRecorder(reporter)
        var rollBack: RollBack?
        while true {
            recorder.begin()
            do {
                return try TrainingLoop(
                    request,
                    reporter,
                    recorder,
                    after: rollBack,
                    ranks: ranks
                ).run()
            } catch let found as RollBack {
                rollBack = found
            }
        }
    }
}
