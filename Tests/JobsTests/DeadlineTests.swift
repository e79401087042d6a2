internal import Jobs
internal import Testing

struct DeadlineTests {
    private static let lifecycle = JobLifecycle(leaseDuration: 30_000)
    private static let holder = LeaseHolder(
        worker: WorkerIdentity(role: .train, instance: "train-1"),
        boot: "b1"
    )
    private static let claim = LeaseClaim(epoch: 0, holder: holder)
    private static let hour: Int64 = 3_600_000
    /// Submitted at 0 with two hours of time.
    private static func job(_ state: JobState) -> Job {
        var job = Job(id: "j", kind: .train, state: state, created: 0)
        job.deadline = 2 * hour
        job.holder = state.isLeased ? holder : nil
        return job
    }

    private static func decide(_ occurrence: Occurrence, _ job: Job) -> Job {
        lifecycle.decide(occurrence, job, at: Moment(unix: 2 * hour, uptime: 0)).job
    }

    /// What is left is the wall clock's to say, but never more than there was at first, and a clock
    /// that was set forward ends it no earlier than now.
    @Test(arguments: [
        (Int64(0), Int64(2)), (1, 1), (2, 0), (5, 0), (-3, 2),
    ])
    func theTimeThatIsLeft(hoursLater: Int64, left: Int64) {
        let moment = Moment(unix: hoursLater * Self.hour, uptime: 500)
        let end = Self.lifecycle.deadlineEnd(of: Self.job(.queued), at: moment)
        #expect(end == 500 + left * Self.hour)
    }

    @Test func jobsWithoutADeadlineOrAtTheirEndHaveNoTimeToCount() {
        let moment = Moment(unix: 0, uptime: 0)
        var free = Self.job(.running)
        free.deadline = nil
        var ending = Self.job(.cancelling)
        ending.cancellation = .gently
        for job in [free, ending, Self.job(.succeeded), Self.job(.failed)] {
            #expect(Self.lifecycle.deadlineEnd(of: job, at: moment) == nil)
            #expect(Self.decide(.deadlinePassed, job) == job)
        }
    }

    @Test func aWaitingJobFailsByItsDeadline() {
        for state in JobState.waiting {
            let job = Self.decide(.deadlinePassed, Self.job(state))
            #expect(job.state == .failed && job.reason == .deadline)
        }
    }

    /// Asked to stop as a user would ask, and its end is its deadline's, however it comes.
    @Test func aRunningJobIsAskedToStopAndFailsByItsDeadline() {
        for state in [JobState.starting, .running] {
            let asked = Self.decide(.deadlinePassed, Self.job(state))
            #expect(asked.state == .cancelling && asked.cancellation == .gently)
            #expect(asked.reason == .deadline)
            let ends: [Occurrence] = [
                .completed(Self.claim, .stopped("stopped at step 7")),
                .completed(Self.claim, .released("the worker goes")),
                .completed(Self.claim, .failed(.internalError, "oops")),
                .completed(Self.claim, .failed(.killed, "signal 9")), .leaseEnded("silence"),
            ]
            for end in ends {
                let job = Self.decide(end, asked)
                #expect(job.state == .failed && job.reason == .deadline, "\(end)")
            }
            // Who was done before it stopped is done.
            #expect(Self.decide(.completed(Self.claim, .succeeded), asked).state == .succeeded)
        }
    }

    @Test func whoCancelsGetsACancelledJob() {
        let asked = Self.decide(.deadlinePassed, Self.job(.running))
        let cancelled = Self.decide(.cancelled(now: true, by: "ada"), asked)
        #expect(cancelled.cancellation == .now)
        let end = Self.decide(.completed(Self.claim, .stopped("ok")), cancelled)
        #expect(end.state == .cancelled && end.reason == .cancelledBy)
        #expect(end.message == "cancelled by ada; ok")
    }

    /// Else it would end again at once.
    @Test func aRetryLiftsADeadlineThatHasPassed() {
        let failed = Self.decide(.deadlinePassed, Self.job(.queued))
        let again = Self.decide(.retried(by: "ada", inputs: .ready), failed)
        #expect(again.state == .queued && again.deadline == nil && !again.isOverdue)
        var early = Self.job(.failed)
        early.deadline = 9 * Self.hour
        let kept = Self.decide(.retried(by: "ada", inputs: .ready), early)
        #expect(kept.deadline == 9 * Self.hour)
    }
}
