internal import Jobs
internal import Testing

struct JobLifecycleTests {
    private static let lifecycle = JobLifecycle(leaseDuration: 30_000)
    private static let ada = LeaseHolder(
        worker: WorkerIdentity(role: .train, instance: "train-1"),
        boot: "b1"
    )
    private static let moment = Moment(unix: 1_700_000_000_000, uptime: 7_000)

    private static func job(_ state: JobState, _ configure: (inout Job) -> Void = { _ in }) -> Job {
        var job = Job(id: "j", kind: .train, state: state, created: 0)
        job.epoch = 4
        job.lastSeq = 9
        if state.isLeased || state.isTerminal {
            job.holder = ada
        }
        configure(&job)
        return job
    }

    private static func claim(_ epoch: Int64 = 4, _ holder: LeaseHolder = ada) -> LeaseClaim {
        LeaseClaim(epoch: epoch, holder: holder)
    }

    private static func decide(_ occurrence: Occurrence, _ job: Job) -> Decision {
        lifecycle.decide(occurrence, job, at: moment)
    }

    private static let occurrences: [Occurrence] = [
        .inputsSettled(.ready), .inputsSettled(.waiting), .inputsSettled(.never("gone")),
        .leased(ada), .checkpointed(claim(), step: 5),
        .heartbeat(claim(), [WorkerReport(number: 1, step: 3)]),
        .completed(claim(), .succeeded), .completed(claim(), .failed(.userError, "no")),
        .completed(claim(), .failed(.internalError, "oops")), .completed(claim(), .stopped("ok")),
        .completed(claim(), .released("the worker stops")),
        .completed(claim(), .failed(.killed, "signal 9")),
        .cancelled(now: false, by: "ada"), .cancelled(now: true, by: "ada"),
        .retried(by: "ada", inputs: .ready), .retried(by: "ada", inputs: .never("gone")),
        .leaseEnded("silence"), .checkpointExpired, .deadlinePassed,
        .inputsSettled(.neverStarts("it failed")), .inputsSettled(.reused(from: "x")),
        .retried(by: "ada", inputs: .neverStarts("it failed")), .paused(by: "ada"),
        .resumed(by: "ada", inputs: .ready), .resumed(by: "ada", inputs: .waiting),
        .resumed(by: "ada", inputs: .never("gone")),
        .completed(claim(), .released("stopped as asked", .pausedBy)),
    ]

    /// Whatever happens to a job in whatever state: it moves along the table, its history has no
    /// gaps, it never rests in RECOVERING, and a refusal changes nothing.
    @Test(arguments: JobState.allCases)
    func everyOccurrenceKeepsTheRules(state: JobState) {
        for occurrence in Self.occurrences {
            let job = Self.job(state) { $0.deadline = 1 }
            let decision = Self.decide(occurrence, job)
            var from = state
            for (offset, entry) in decision.entries.enumerated() {
                #expect(from.successors.contains(entry.state), "\(from) \(entry.state)")
                #expect(entry.seq == job.lastSeq + 1 + Int64(offset))
                from = entry.state
            }
            #expect(decision.job.state == from)
            #expect(from != .recovering || state == .recovering)
            #expect(
                decision.job.lastSeq
                    == job.lastSeq + Int64(decision.entries.count + decision.reports.count)
            )
            if decision.verdict != .accepted {
                #expect(decision.job == job && decision.entries.isEmpty, "\(occurrence)")
            }
            if from.isTerminal, !state.isTerminal {
                #expect(decision.job.finished == Self.moment.unix && decision.isEnd)
            }
        }
    }

    /// A killed child is a loss, and losses are judged by progress: three in a row at one step end a
    /// job, a hundred with a step in between do not.
    @Test func killedChildrenAreLossesJudgedByProgress() {
        var job = Self.job(.running)
        for step: Int64 in 1...100 {
            job.lastStep = step
            let killed = Completion.failed(.killed, "signal 9")
            let lost = Self.decide(.completed(Self.claim(job.epoch), killed), job)
            #expect(lost.job.state == .queued && lost.job.reason == .killed && lost.delay == 0)
            job = Self.decide(.leased(Self.ada), lost.job).job
        }
        var delays: [Int64] = []
        var end = Decision(unchanged: job)
        for _ in 0..<3 where !end.isEnd {
            let killed = Completion.failed(.killed, "signal 9")
            end = Self.decide(.completed(Self.claim(job.epoch), killed), job)
            delays.append(end.delay)
            job = Self.decide(.leased(Self.ada), end.job).job
        }
        #expect(end.job.state == .failed && end.job.reason == .crashLoop)
        #expect(delays == [2_000, 0])
    }

    /// Seen: a worker whose disk was full ended everybody's jobs.
    ///
    /// It is the worker's fault: another one takes the job, and nothing counts as the job's failure.
    @Test func aFullDiskOfAWorkerIsALoss() {
        let full = Completion.failed(.noDisk, "no room")
        let lost = Self.decide(.completed(Self.claim(), full), Self.job(.running))
        #expect(lost.job.state == .queued && lost.job.reason == .noDisk)
        #expect(lost.job.failures == 0 && lost.job.losses == 1)
    }

    /// Seen: a worker with a small disk failed the whole queue as `CRASH_LOOP` while a good one was busy.
    @Test func handingBackForLackOfDiskCountsAsNothing() {
        var job = Self.job(.running)
        for _ in 0..<20 {
            let released = Completion.released("the inputs do not fit", .noDisk)
            let back = Self.decide(.completed(Self.claim(job.epoch), released), job)
            #expect(back.job.state == .queued && back.job.reason == .noDisk)
            #expect(back.job.message == "the inputs do not fit")
            #expect(back.job.losses == 0 && back.job.failures == 0)
            // A worker that does not say that its disk is full must not spin.
            #expect(back.delay >= 1_000)
            job = Self.decide(.leased(Self.ada), back.job).job
        }
        // One that fills up while the job computes ends it some time, by its name.
        for _ in 0..<3 where !job.state.isTerminal {
            let full = Completion.failed(.noDisk, "no room")
            let lost = Self.decide(.completed(Self.claim(job.epoch), full), job)
            job = lost.isEnd ? lost.job : Self.decide(.leased(Self.ada), lost.job).job
        }
        #expect(job.state == .failed && job.reason == .noDisk)
    }

    /// Random lives: at any moment at most one epoch is live, and it never goes back.
    @Test(arguments: 0..<64)
    func anOldEpochNeverWrites(seed: UInt64) {
        var random = SplitMix(state: seed)
        var job = Self.job(.queued) { $0.epoch = 0 }
        var claims: [LeaseClaim] = []
        for _ in 0..<200 {
            let stale = claims.dropLast().randomElement(using: &random)
            if let stale {
                let forged = Self.decide(.completed(stale, .succeeded), job)
                #expect(forged.verdict == .leaseLost && !forged.isChange)
                #expect(Self.decide(.heartbeat(stale, []), job).verdict == .leaseLost)
            }
            let live = claims.last ?? Self.claim(0)
            let choice: Occurrence =
                switch random.next() % 9 {
                case 0, 1: .leased(Self.ada)
                case 2, 3: .heartbeat(live, [WorkerReport(step: Int64(random.next() % 50))])
                case 4: .completed(live, .failed(.internalError, "oops"))
                case 5: .cancelled(now: false, by: "ada")
                case 6: .retried(by: "ada", inputs: .ready)
                default: .leaseEnded("silence")
                }
            let decision = Self.decide(choice, job)
            #expect(decision.job.epoch >= job.epoch)
            if decision.job.epoch > job.epoch {
                claims.append(Self.claim(decision.job.epoch))
            }
            job = decision.job
        }
    }

    @Test func aLeaseBelongsToOneProcessOfOneWorker() {
        let others = [
            LeaseHolder(worker: Self.ada.worker, boot: "b2"),
            LeaseHolder(worker: WorkerIdentity(role: .train, instance: "train-2"), boot: "b1"),
            LeaseHolder(worker: WorkerIdentity(role: .eval, instance: "train-1"), boot: "b1"),
        ]
        for state in JobState.leased + JobState.terminal {
            for other in others {
                let job = Self.job(state)
                let claim = Self.claim(4, other)
                for occurrence in [
                    Occurrence.heartbeat(claim, []), .completed(claim, .succeeded),
                ] {
                    let decision = Self.decide(occurrence, job)
                    #expect(decision.verdict == .leaseLost && decision.job == job)
                }
            }
        }
    }

    @Test func aHeartbeatWithoutNewsStoresNothing() {
        let decision = Self.decide(.heartbeat(Self.claim(), []), Self.job(.running))
        #expect(!decision.isChange)
        #expect(decision.lease == .lasts(Self.moment.uptime + 30_000))
    }

    @Test func aGentleCancellationDoesNotTakeAFirmOneBack() {
        let firm = Self.decide(.cancelled(now: true, by: "ada"), Self.job(.running))
        #expect(firm.job.cancellation == .now && firm.job.state == .cancelling)
        let gentle = Self.decide(.cancelled(now: false, by: "ada"), firm.job)
        #expect(gentle.job.cancellation == .now && !gentle.isChange)
    }

    /// Ten graceful restarts are no loss; ten losses end a job.
    @Test func aLeaseThatIsHandedBackIsNoLoss() {
        var job = Self.job(.queued) { $0.lastStep = 4 }
        for _ in 0..<20 {
            job = Self.decide(.leased(Self.ada), job).job
            let claim = Self.claim(job.epoch)
            job = Self.decide(.completed(claim, .released("the worker stops")), job).job
            #expect(job.state == .queued && job.losses == 0 && !job.isHeld(by: claim))
        }
        // Unless the job was to end anyway.
        job = Self.decide(.leased(Self.ada), job).job
        job = Self.decide(.cancelled(now: false, by: "ada"), job).job
        job = Self.decide(.completed(Self.claim(job.epoch), .released("stops")), job).job
        #expect(job.state == .cancelled)
    }

    @Test func theNewestCheckpointCounts() {
        let job = Self.job(.running) {
            $0.checkpointStep = 8
            $0.checkpointEpoch = 4
        }
        let newer = Self.decide(.checkpointed(Self.claim(), step: 9), job)
        #expect(newer.job.checkpointStep == 9 && newer.isChange)
        #expect(!Self.decide(.checkpointed(Self.claim(), step: 7), job).isChange)
        #expect(Self.decide(.checkpointed(Self.claim(3), step: 9), job).verdict == .leaseLost)
        // It survives a cancellation and a retry, and goes with success.
        let asked = Self.decide(.cancelled(now: false, by: "ada"), job).job
        let stopped = Self.decide(.completed(Self.claim(), .stopped("ok")), asked).job
        #expect(stopped.state == .cancelled)
        #expect(Self.decide(.retried(by: "a", inputs: .ready), stopped).job.checkpointStep == 8)
        let done = Self.decide(.completed(Self.claim(), .succeeded), job).job
        #expect(done.checkpointStep == 0)
    }

    /// Seen: a damaged checkpoint of step 500 kept the next attempt's steps 100 to 499 from being
    /// stored, and every loss threw all of them away.
    @Test func anAttemptThatGoesOnFromBeforeTheCheckpointStoresItsOwn() {
        let job = Self.job(.running) {
            $0.checkpointStep = 500
            $0.checkpointEpoch = 3
            $0.lastStep = 510
            $0.losses = 1
            $0.lossesAtStep = 1
            $0.lostStep = 510
        }
        let first = Self.decide(.checkpointed(Self.claim(), step: 100), job)
        #expect(first.isChange && first.job.checkpointStep == 100)
        // Within this lease the newest counts again.
        #expect(!Self.decide(.checkpointed(Self.claim(), step: 50), first.job).isChange)
        #expect(Self.decide(.checkpointed(Self.claim(), step: 400), first.job).isChange)
        // The same step again, whole this time, is taken, too.
        #expect(Self.decide(.checkpointed(Self.claim(), step: 500), job).isChange)
        // Progress is judged from there: losses with a checkpoint in between end no job.
        var lost = first.job
        for step in [100, 200, 300, 400, 450] as [Int64] {
            lost = Self.decide(.checkpointed(Self.claim(lost.epoch), step: step), lost).job
            lost = Self.decide(.leaseEnded("silence"), lost).job
            #expect(lost.state == .queued && lost.lossesAtStep == 1, "at step \(step)")
            lost = Self.decide(.leased(Self.ada), lost).job
            let report = WorkerReport(number: 1, step: step + 1)
            lost = Self.decide(.heartbeat(Self.claim(lost.epoch), [report]), lost).job
        }
    }

    /// Seen: retried after its checkpoint's time was over, a job that stored steps 100, 200 and 300 ended as
    /// one that gets nowhere, since it had been at step 900 before.
    @Test(arguments: [Int64(800), 0])
    func afterARetryProgressIsJudgedFromWhereTheJobBegins(checkpoint: Int64) {
        var job = Self.job(.cancelled) {
            $0.checkpointStep = checkpoint
            $0.checkpointEpoch = checkpoint > 0 ? 4 : 0
            $0.lastStep = 900
            $0.lostStep = 900
        }
        job = Self.decide(.checkpointExpired, job).job
        job = Self.decide(.retried(by: "ada", inputs: .ready), job).job
        for step: Int64 in [100, 200, 300, 400, 500] {
            job = Self.decide(.leased(Self.ada), job).job
            let claim = Self.claim(job.epoch)
            job = Self.decide(.checkpointed(claim, step: step), job).job
            let report = WorkerReport(number: 1, step: step + 50)
            job = Self.decide(.heartbeat(claim, [report]), job).job
            job = Self.decide(.leaseEnded("silence"), job).job
            #expect(job.state == .queued && job.lossesAtStep == 1, "at step \(step)")
        }
    }

    /// Three in a row that do not come beyond the furthest step end a job, also one at another step each.
    @Test func lossesBeforeTheFurthestStepAreNoProgress() {
        var job = Self.job(.queued)
        for step: Int64 in [1_097, 572, 244] {
            #expect(job.state == .queued)
            job = Self.decide(.leased(Self.ada), job).job
            let report = WorkerReport(number: 1, step: step)
            job = Self.decide(.heartbeat(Self.claim(job.epoch), [report]), job).job
            job = Self.decide(.leaseEnded("silence"), job).job
        }
        #expect(job.state == .failed && job.reason == .crashLoop)
        #expect(job.message.contains("beyond step 1097"))
    }

    /// What only the gateway knows is no worker's to say: such an attempt is one that failed for a fault of
    /// the program, which is tried once more.
    @Test(arguments: [
        JobReason.none, .dependencyFailed, .deadline, .workerLost, .crashLoop, .pausedBy,
        .cancelledBy,
    ])
    func aWorkerMayNotGiveReasonsOfTheGateway(reason: JobReason) {
        let claimed = Completion.failed(reason, "said so")
        let first = Self.decide(.completed(Self.claim(), claimed), Self.job(.running))
        #expect(first.job.state == .queued && first.job.failures == 1 && first.job.losses == 0)
        let again = Self.decide(.leased(Self.ada), first.job).job
        let end = Self.decide(.completed(Self.claim(again.epoch), claimed), again).job
        #expect(end.state == .failed && end.reason == .internalError)
        #expect(end.message.hasSuffix("not a worker's to say: said so"))
    }

    @Test func anAttemptIsNotStoppedUnlessSomebodyAskedForIt() {
        for state in [JobState.starting, .running] {
            let stopped = Self.decide(.completed(Self.claim(), .stopped("ok")), Self.job(state))
            #expect(stopped.job.state == .queued && stopped.job.reason == .internalError)
            let again = Self.decide(.leased(Self.ada), stopped.job).job
            let end = Self.decide(.completed(Self.claim(again.epoch), .stopped("ok")), again).job
            #expect(end.state == .failed && end.reason == .internalError)
        }
    }

    /// Seen: "stopped as asked", and nobody knew by whom.
    @Test func theEndSaysWhoCancelled() {
        let ends: [Completion] = [
            .stopped("stopped as asked"), .released("the worker goes"),
            .failed(.killed, "signal 9"),
            .failed(.userError, "no"),
        ]
        for end in ends {
            var job = Self.decide(.cancelled(now: false, by: "olga"), Self.job(.running)).job
            // Whoever asks again is not the first.
            job = Self.decide(.cancelled(now: true, by: "ada"), job).job
            job = Self.decide(.completed(Self.claim(), end), job).job
            #expect(job.state == .cancelled && job.reason == .cancelledBy)
            #expect(job.message.hasPrefix("cancelled by olga; "), "\(end)")
        }
    }

    /// Seen to be tested by nobody: what a retry forgets.
    @Test func aRetryCountsAnew() {
        func lost(_ job: Job) -> Job {
            let leased = Self.decide(.leased(Self.ada), job).job
            return Self.decide(.completed(Self.claim(leased.epoch), .failed(.killed, "")), leased)
                .job
        }
        var job = Self.job(.queued) { $0.lastStep = 40 }
        for _ in 0..<3 { job = lost(job) }
        #expect(job.state == .failed && job.reason == .crashLoop && job.finished != nil)
        job = Self.decide(.retried(by: "ada", inputs: .ready), job).job
        #expect(job.state == .queued && job.finished == nil)
        for _ in 0..<2 {
            job = lost(job)
            #expect(job.state == .queued && job.finished == nil)
        }
        #expect(lost(job).reason == .crashLoop)
    }

    @Test(arguments: [JobReason.outOfMemory, .internalError])
    func aRetriedFailureHasItsSecondAttemptAgain(reason: JobReason) {
        func failed(_ job: Job) -> Job {
            let leased = Self.decide(.leased(Self.ada), job).job
            return Self.decide(.completed(Self.claim(leased.epoch), .failed(reason, "")), leased)
                .job
        }
        let first = failed(Self.job(.queued))
        let second = failed(first)
        #expect(first.state == .queued && second.state == .failed)
        let retried = Self.decide(.retried(by: "ada", inputs: .ready), second).job
        #expect(failed(retried).state == .queued)
        #expect(failed(failed(retried)).state == .failed)
    }

    /// Seen: why an attempt was lost was nowhere to be found once the next one ran.
    @Test func anAttemptSaysHowTheOneBeforeEnded() {
        func next(_ completion: Completion?) -> (starting: Job, running: Job) {
            var job = Self.job(.queued)
            let first = Self.decide(.leased(Self.ada), job).job
            job =
                completion.map {
                    Self.decide(.completed(Self.claim(first.epoch), $0), first).job
                } ?? Self.decide(.leaseEnded("worker train-1 was restarted"), first).job
            let decision = Self.decide(.leased(Self.ada), job)
            // Its history has it already.
            #expect(decision.entries.map(\.message) == ["leased to train-1"])
            let second = decision.job
            return (second, Self.decide(.heartbeat(Self.claim(second.epoch), []), second).job)
        }
        let cases: [(Completion?, String)] = [
            (.failed(.killed, "signal 9"), "attempt 1 ended: KILLED: signal 9"),
            (.failed(.internalError, "oops"), "attempt 1 ended: INTERNAL: oops"),
            (.released("train-1 is stopping"), "attempt 1 ended: train-1 is stopping"),
            (.released("no room", .noDisk), "attempt 1 ended: NO_DISK: no room"),
            (nil, "attempt 1 ended: WORKER_LOST: worker train-1 was restarted"),
        ]
        for (completion, words) in cases {
            let (starting, running) = next(completion)
            #expect(starting.message == words && running.message == words)
            #expect(starting.attemptBefore == words && running.attemptBefore == words)
            #expect(running.reason == .none)
        }
        // The first one has none before it, and a retry begins anew.
        let first = Self.decide(.leased(Self.ada), Self.job(.queued)).job
        #expect(first.attemptBefore == nil && first.message == "leased to train-1")
        #expect(Self.decide(.heartbeat(Self.claim(first.epoch), []), first).job.message.isEmpty)
        let failed = Self.decide(
            .completed(Self.claim(first.epoch), .failed(.userError, "no")),
            first
        )
        let again = Self.decide(.retried(by: "ada", inputs: .ready), failed.job).job
        #expect(Self.decide(.leased(Self.ada), again).job.attemptBefore == nil)
    }

    /// What docs/JOBS.md says of each reason that a worker gives: a loss brings the job back twice, what is
    /// tried once more once, and everything else is final.
    @Test(
        arguments: [
            (.killed, 2), (.stalled, 2), (.noDisk, 2), (.outOfMemory, 1), (.internalError, 1),
            (.userError, 0),
            // A sum is the same the second time.
            (.exceedsMemory, 0), (.invalidSpec, 0), (.exportFailed, 0), (.diverged, 0),
        ] as [(JobReason, Int)]
    )
    func aReasonBringsAJobBackAsOftenAsItSays(reason: JobReason, returns: Int) {
        var job = Self.job(.queued)
        for attempt in 0...returns {
            let leased = Self.decide(.leased(Self.ada), job).job
            job = Self.decide(.completed(Self.claim(leased.epoch), .failed(reason, "")), leased).job
            #expect((job.state == .queued) == (attempt < returns), "\(attempt)")
        }
        #expect(job.state == .failed)
    }

    @Test func aRetriedJobWhoseInputsAreGoneFailsAtOnce() {
        let decision = Self.decide(.retried(by: "ada", inputs: .never("gone")), Self.job(.failed))
        #expect(decision.entries.map(\.state) == [.blocked, .failed])
        #expect(decision.job.reason == .artifactMissing && decision.job.message == "gone")
    }
}

/// A small generator with a seed: replays are exact.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
