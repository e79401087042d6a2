internal import Jobs
internal import Testing

/// What docs/OPERATIONS.md says of what workers keep.
struct KeptWorkTests {
    private static let here = WorkerIdentity(role: .train, instance: "train-1")
    private static let elsewhere = WorkerIdentity(role: .train, instance: "train-2")

    /// A job with a checkpoint of step 500 in the store.
    private static func job(_ state: JobState, at worker: WorkerIdentity = here) -> Job {
        var job = Job(id: "j", kind: .train, state: state, created: 0)
        job.checkpointStep = 500
        job.holder = LeaseHolder(worker: worker, boot: "b")
        return job
    }

    private static func kept(_ job: Job?, _ step: UInt64, isFinished: Bool = false) -> KeptWork {
        KeptWork(of: job, step: step, isFinished: isFinished, at: here)
    }

    @Test func ofAJobThatIsNoMoreNothingIsNeeded() {
        #expect(Self.kept(nil, 1000, isFinished: true) == .stored)
        #expect(Self.kept(Self.job(.succeeded), 1000, isFinished: true) == .stored)
    }

    /// Whatever becomes of the job, any worker goes on from what the store has.
    @Test(arguments: JobState.allCases)
    func whatTheStoreHasIsNotNeeded(state: JobState) {
        #expect(Self.kept(Self.job(state), 500) == .stored)
        #expect(Self.kept(Self.job(state), 0) == .stored)
    }

    @Test(arguments: JobState.allCases)
    func whatIsNotStoredIsNeededByAJobThatMayComeBack(state: JobState) {
        let isOver = ["FAILED", "CANCELLED"].contains(state.rawValue)
        let expected: KeptWork =
            state == .succeeded ? .stored : isOver ? .over : .needed
        #expect(Self.kept(Self.job(state), 501) == expected)
        #expect(Self.kept(Self.job(state), 0, isFinished: true) == expected)
    }

    /// Who held the last lease of a job that waits may get the next one, too.
    @Test(arguments: JobState.allCases)
    func anotherAtWorkIsWhereTheJobIs(state: JobState) {
        let isAtWork = ["STARTING", "RUNNING", "CANCELLING"].contains(state.rawValue)
        let kept = Self.kept(Self.job(state, at: Self.elsewhere), 501)
        if isAtWork { #expect(kept == .over) }
        if ["BLOCKED", "QUEUED", "RECOVERING"].contains(state.rawValue) {
            #expect(kept == .needed)
        }
    }
}
