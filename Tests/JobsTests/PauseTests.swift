internal import Jobs
internal import Testing

/// docs/JOBS.md, Pause.
struct PauseTests {
    private static let lifecycle = JobLifecycle(leaseDuration: 30_000)
    private static let holder = LeaseHolder(
        worker: WorkerIdentity(role: .train, instance: "train-1"),
        boot: "b1"
    )
    private static let claim = LeaseClaim(epoch: 4, holder: holder)
    private static let moment = Moment(unix: 1_700_000_000_000, uptime: 7_000)

    /// A job that has a past, in a state.
    private static func job(_ state: JobState, _ configure: (inout Job) -> Void = { _ in }) -> Job {
        var job = Job(id: "j", kind: .train, state: state, created: 0)
        job.epoch = 4
        job.attempt = 4
        job.lastSeq = 9
        job.lastStep = 70
        job.checkpointStep = 60
        job.checkpointEpoch = 4
        job.holder = holder
        configure(&job)
        return job
    }

    private static func decide(_ occurrence: Occurrence, _ job: Job) -> Decision {
        lifecycle.decide(occurrence, job, at: moment)
    }

    private static func paused(_ state: JobState, _ configure: (inout Job) -> Void = { _ in })
        -> Job
    {
        decide(.paused(by: "ada"), job(state, configure)).job
    }

    @Test(arguments: [JobState.blocked, .queued, .recovering])
    func whatHasNoWorkerRestsAtOnce(state: JobState) {
        let decision = Self.decide(.paused(by: "ada"), Self.job(state))
        #expect(decision.verdict == .accepted && decision.entries.map(\.state) == [.paused])
        #expect(decision.job.state == .paused && decision.job.reason == .pausedBy)
        #expect(
            decision.job.message == "paused by ada" && decision.job.pauseWords == "paused by ada"
        )
        #expect(!decision.isEnd && !decision.wakesQueue && decision.lease == .ends)
    }

    @Test(arguments: [JobState.starting, .running])
    func whatRunsIsAskedToStop(state: JobState) {
        let decision = Self.decide(.paused(by: "ada"), Self.job(state))
        #expect(decision.entries.map(\.state) == [.pausing] && decision.lease == .none)
        #expect(decision.job.reason == .pausedBy && decision.job.message == "paused by ada")
        // Its lease is good until it is handed back: it tells, and stores its checkpoint.
        let job = decision.job
        #expect(job.isHeld(by: Self.claim) && job.cancellation == .none)
        let beat = Self.decide(.heartbeat(Self.claim, [WorkerReport(number: 1, step: 71)]), job)
        #expect(beat.job.state == .pausing && beat.job.lastStep == 71)
        #expect(beat.lease == .lasts(Self.moment.uptime + 30_000))
        let saved = Self.decide(.checkpointed(Self.claim, step: 71), beat.job)
        #expect(saved.job.checkpointStep == 71 && saved.job.state == .pausing)
    }

    private static let returns: [Completion] = [
        .released("stopped as asked", .pausedBy), .released("the worker goes"),
        .released("no room", .noDisk), .released("too large", .exceedsMemory),
        // A worker of before there were pauses.
        .stopped("stopped as asked"),
    ]

    @Test func whatIsHandedBackRestsAndNothingCounts() {
        for completion in Self.returns {
            let decision = Self.decide(.completed(Self.claim, completion), Self.paused(.running))
            let job = decision.job
            #expect(decision.entries.map(\.state) == [.paused], "\(completion)")
            #expect(decision.lease == .ends && decision.delay == 0 && !decision.wakesQueue)
            #expect(job.reason == .pausedBy && job.message.hasPrefix("paused by ada; "))
            #expect(job.losses == 0 && job.failures == 0)
            #expect(job.checkpointStep == 60 && job.lastStep == 70 && job.attempt == 4)
            // Told again it changes nothing; that it is done nobody believes any more.
            let again = Self.decide(.completed(Self.claim, completion), job)
            #expect(again.verdict == .accepted && !again.isChange, "\(completion)")
            let done = Self.decide(.completed(Self.claim, .succeeded), job)
            #expect(done.verdict == .leaseLost && !done.isChange)
            // Nor does it, if the job was resumed before the worker told it again.
            let resumed = Self.decide(.resumed(by: "ada", inputs: .ready), job).job
            let late = Self.decide(.completed(Self.claim, completion), resumed)
            #expect(late.verdict == .accepted && !late.isChange, "\(completion)")
            let end = Self.decide(.completed(Self.claim, .failed(.userError, "")), resumed)
            #expect(end.verdict == .leaseLost && !end.isChange)
        }
    }

    private static let losses: [(Occurrence, String)] = [
        (.leaseEnded("silence"), "paused by ada; WORKER_LOST: silence"),
        (.completed(claim, .failed(.killed, "signal 9")), "paused by ada; KILLED: signal 9"),
        (.completed(claim, .failed(.stalled, "silent")), "paused by ada; STALLED: silent"),
        (.completed(claim, .failed(.noDisk, "full")), "paused by ada; NO_DISK: full"),
    ]

    @Test func whatIsLostMeanwhileRestsAndTheLossCounts() {
        for (loss, message) in Self.losses {
            let decision = Self.decide(loss, Self.paused(.running))
            #expect(decision.entries.map(\.state) == [.recovering, .paused], "\(loss)")
            #expect(decision.job.losses == 1 && decision.job.lossesAtStep == 1)
            #expect(decision.job.message == message && decision.job.reason == .pausedBy)
            // The third in a row without progress is its end, as of any job.
            let stuck = Self.paused(.running) {
                $0.losses = 2
                $0.lossesAtStep = 2
                $0.lostStep = 70
            }
            let end = Self.decide(loss, stuck)
            #expect(end.job.state == .failed && end.isEnd, "\(loss)")
        }
    }

    @Test func successAndFailureMeanwhileAreItsEnd() {
        let done = Self.decide(.completed(Self.claim, .succeeded), Self.paused(.running))
        #expect(done.job.state == .succeeded && done.job.checkpointStep == 0 && done.isEnd)
        for reason in [JobReason.userError, .diverged, .exportFailed, .invalidSpec] {
            let failed = Completion.failed(reason, "no")
            let end = Self.decide(.completed(Self.claim, failed), Self.paused(.running))
            #expect(end.job.state == .failed && end.job.reason == reason)
        }
        // A failure that is tried once more is no end: it counts, and the second is one.
        for reason in [JobReason.outOfMemory, .internalError] {
            let failed = Completion.failed(reason, "oops")
            let first = Self.decide(.completed(Self.claim, failed), Self.paused(.running))
            #expect(first.job.state == .paused && first.job.failures == 1)
            #expect(first.entries.map(\.state) == [.recovering, .paused])
            let again = Self.decide(.completed(Self.claim, failed), first.job)
            #expect(again.verdict == .accepted && !again.isChange)
            let stuck = Self.paused(.running) { $0.failures = 1 }
            #expect(Self.decide(.completed(Self.claim, failed), stuck).job.state == .failed)
        }
    }

    @Test func aPausedJobIsNotHandedOut() {
        for job in [Self.paused(.queued), Self.paused(.running)] {
            let decision = Self.decide(.leased(Self.holder), job)
            #expect(decision.job == job && decision.lease == .none)
            guard case .refused = decision.verdict else {
                Issue.record("\(job.state) was leased")
                continue
            }
        }
        // Nor is anything settled of it meanwhile.
        for verdict in [InputsVerdict.ready, .never("gone"), .neverStarts("it failed")] {
            #expect(!Self.decide(.inputsSettled(verdict), Self.paused(.blocked)).isChange)
        }
    }

    @Test func aResumedJobWaitsAgainAndNothingIsForgotten() {
        let before = Self.paused(.queued) {
            $0.losses = 2
            $0.lossesAtStep = 1
            $0.lostStep = 50
            $0.failures = 1
            $0.started = 5
            $0.deadline = 1 << 50
        }
        let decision = Self.decide(.resumed(by: "bob", inputs: .ready), before)
        #expect(decision.entries.map(\.state) == [.blocked, .queued] && decision.wakesQueue)
        #expect(decision.entries.first?.message == "resumed by bob")
        var expected = before
        expected.state = .queued
        expected.reason = .none
        expected.message = ""
        expected.lastSeq += 2
        #expect(decision.job == expected)
        let waiting = Self.decide(.resumed(by: "bob", inputs: .waiting), before)
        #expect(waiting.job.state == .blocked && waiting.job.message.isEmpty)
        // What it waited for may have failed meanwhile.
        let gone = Self.decide(.resumed(by: "bob", inputs: .never("gone")), before)
        #expect(gone.job.state == .failed && gone.job.reason == .artifactMissing && gone.isEnd)
        let never = Self.decide(.resumed(by: "bob", inputs: .neverStarts("it failed")), before)
        #expect(never.job.reason == .dependencyFailed)
    }

    @Test func aPauseIsTakenBackBeforeTheWorkerHasStopped() {
        for state in [JobState.starting, .running] {
            let back = Self.decide(.resumed(by: "bob", inputs: .waiting), Self.paused(state))
            #expect(back.entries.map(\.state) == [.running] && back.lease == .none)
            #expect(back.job.isHeld(by: Self.claim) && back.job.reason == .none)
            // It had stopped already: it is queued, and nothing counts.
            for completion in Self.returns {
                let report = Occurrence.completed(Self.claim, completion)
                let decision = Self.decide(report, back.job)
                #expect(decision.job.state == .queued, "\(completion)")
                #expect(decision.job.losses == 0 && decision.job.failures == 0)
                #expect(decision.job.checkpointStep == 60)
                let again = Self.decide(report, decision.job)
                #expect(again.verdict == .accepted && !again.isChange, "\(completion)")
            }
            // And if it had not, it goes on to its end.
            let beat = Self.decide(.heartbeat(Self.claim, [WorkerReport(number: 1)]), back.job)
            #expect(beat.job.state == .running)
            let done = Self.decide(.completed(Self.claim, .succeeded), beat.job)
            #expect(done.job.state == .succeeded)
        }
    }

    @Test func asOftenAsItIsAskedItIsDoneOnce() {
        for state in [JobState.queued, .running] {
            let paused = Self.paused(state)
            let again = Self.decide(.paused(by: "bob"), paused)
            #expect(again.verdict == .accepted && !again.isChange)
        }
        for state in [JobState.blocked, .queued, .starting, .running, .recovering] {
            let decision = Self.decide(.resumed(by: "bob", inputs: .ready), Self.job(state))
            #expect(decision.verdict == .accepted && !decision.isChange, "\(state)")
        }
    }

    @Test func whatEndsIsNeitherPausedNorResumed() {
        for state in JobState.terminal + [.cancelling] {
            for occurrence in [
                Occurrence.paused(by: "ada"), .resumed(by: "ada", inputs: .ready),
            ] {
                let decision = Self.decide(occurrence, Self.job(state))
                guard case .refused(let sentence) = decision.verdict else {
                    Issue.record("\(state): \(occurrence)")
                    continue
                }
                #expect(!decision.isChange && sentence.contains("job j is \(state.rawValue)"))
            }
        }
    }

    @Test func aRetryOfWhatIsPausedIsRefused() {
        for job in [Self.paused(.queued), Self.paused(.running)] {
            let decision = Self.decide(.retried(by: "ada", inputs: .ready), job)
            #expect(
                decision.verdict
                    == .refused(
                        "job j is \(job.state.rawValue); resume it (qat-client resume j)"
                    )
            )
        }
    }

    @Test func aCancellationEndsIt() {
        let resting = Self.decide(.cancelled(now: false, by: "olga"), Self.paused(.queued))
        #expect(resting.job.state == .cancelled && resting.job.reason == .cancelledBy)
        for completion in Self.returns {
            let asked = Self.decide(.cancelled(now: false, by: "olga"), Self.paused(.running)).job
            #expect(asked.state == .cancelling && asked.cancellation == .gently)
            let end = Self.decide(.completed(Self.claim, completion), asked).job
            #expect(end.state == .cancelled && end.message.hasPrefix("cancelled by olga"))
            let again = Self.decide(.completed(Self.claim, completion), end)
            #expect(again.verdict == .accepted && !again.isChange)
        }
        // Told again after the job was cancelled while it rested, it is no lie.
        let rested = Self.decide(.completed(Self.claim, Self.returns[0]), Self.paused(.running)).job
        let cancelled = Self.decide(.cancelled(now: true, by: "olga"), rested).job
        let late = Self.decide(.completed(Self.claim, Self.returns[0]), cancelled)
        #expect(late.verdict == .accepted && !late.isChange)
        // A retry begins with nothing held back.
        let retried = Self.decide(.retried(by: "ada", inputs: .ready), cancelled).job
        #expect(retried.state == .queued && !retried.isHeldBack)
    }

    @Test func aDeadlineGoesOnCountingAndEndsIt() {
        let resting = Self.paused(.queued) { $0.deadline = Self.moment.unix + 500 }
        #expect(Self.lifecycle.deadlineEnd(of: resting, at: Self.moment) == 7_500)
        let end = Self.decide(.deadlinePassed, resting).job
        #expect(end.state == .failed && end.reason == .deadline)
        #expect(end.message == "its deadline passed while it was paused")
        let stopping = Self.paused(.running) { $0.deadline = Self.moment.unix + 500 }
        #expect(Self.lifecycle.deadlineEnd(of: stopping, at: Self.moment) == 7_500)
        let asked = Self.decide(.deadlinePassed, stopping).job
        #expect(asked.state == .cancelling && asked.cancellation == .gently)
        for completion in Self.returns {
            let failed = Self.decide(.completed(Self.claim, completion), asked).job
            #expect(failed.state == .failed && failed.reason == .deadline, "\(completion)")
        }
    }

    /// How an attempt ended is said when the next one begins, with a pause in between or without.
    @Test func theNextAttemptSaysHowTheOneBeforeEnded() {
        func next(after job: Job) -> String? {
            let queued = Self.decide(.resumed(by: "ada", inputs: .ready), job).job
            return Self.decide(.leased(Self.holder), queued).job.attemptBefore
        }
        let rested = Self.decide(.completed(Self.claim, Self.returns[0]), Self.paused(.running)).job
        #expect(next(after: rested) == "attempt 4 ended: stopped as asked")
        let lost = Self.decide(.leaseEnded("silence"), Self.paused(.running)).job
        #expect(next(after: lost) == "attempt 4 ended: WORKER_LOST: silence")
        let queued = Self.decide(.leaseEnded("silence"), Self.job(.running)).job
        let paused = Self.decide(.paused(by: "ada"), queued).job
        #expect(paused.message == "paused by ada; WORKER_LOST: silence")
        #expect(next(after: paused) == "attempt 4 ended: WORKER_LOST: silence")
        let first = Self.paused(.queued) { $0.attempt = 0 }
        #expect(next(after: first) == nil)
    }

    /// Random lives: out of PAUSED leads what a user or the clock does and nothing else, what is PAUSED has no
    /// lease that anything can be written with, and a resumed job runs to its end.
    @Test(arguments: 0..<64)
    func whatIsHeldBackGoesOnWhenAUserSaysSo(seed: UInt64) {
        var random = SplitMix(state: seed)
        var job = Job(id: "j", kind: .train, state: .queued, created: 0)
        for _ in 0..<400 {
            let claim = LeaseClaim(epoch: job.epoch, holder: Self.holder)
            let occurrence: Occurrence =
                switch random.next() % 12 {
                case 0, 1: .leased(Self.holder)
                case 2: .heartbeat(claim, [WorkerReport(step: job.lastStep + 1)])
                case 3: .checkpointed(claim, step: job.lastStep)
                case 4: .completed(claim, Self.returns[Int(random.next() % 5)])
                case 5: .completed(claim, .failed(.internalError, "oops"))
                case 6: .leaseEnded("silence")
                case 7: .retried(by: "ada", inputs: .ready)
                case 8: .inputsSettled(.ready)
                case 9, 10: .paused(by: "ada")
                default: .resumed(by: "ada", inputs: random.next() % 2 == 0 ? .ready : .waiting)
                }
            let after = Self.decide(occurrence, job).job
            if job.state == .paused {
                #expect(!job.isHeld(by: claim))
                if case .resumed = occurrence {
                    #expect(after.state == .queued || after.state == .blocked)
                    #expect(
                        after.checkpointStep == job.checkpointStep && after.losses == job.losses
                            && after.failures == job.failures && after.attempt == job.attempt
                            && after.epoch == job.epoch
                    )
                } else {
                    #expect(after == job, "\(occurrence)")
                }
            }
            job = after
        }
        // With nobody who holds it back, it ends.
        job = Self.decide(.retried(by: "ada", inputs: .ready), job).job
        job = Self.decide(.resumed(by: "ada", inputs: .ready), job).job
        job = Self.decide(.inputsSettled(.ready), job).job
        job = Self.decide(.leased(Self.holder), job).job
        let claim = LeaseClaim(epoch: job.epoch, holder: Self.holder)
        job = Self.decide(.completed(claim, .succeeded), job).job
        #expect(job.state == .succeeded)
    }

    /// What a pipeline is as a whole, from its jobs.
    @Test(arguments: [
        ([JobState.paused, .blocked, .succeeded], JobState.paused),
        ([.paused, .queued], .queued), ([.pausing, .paused], .running),
        ([.paused, .running], .running), ([.paused, .failed], .paused),
        ([.paused], .paused),
    ])
    func aPipelineThatRests(states: [JobState], whole: JobState) {
        let counts = Dictionary(states.map { ($0, 1) }) { $0 + $1 }
        #expect(PipelineState.state(of: counts) == whole)
    }
}
