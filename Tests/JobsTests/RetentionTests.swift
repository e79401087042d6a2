internal import Jobs
internal import Testing

/// What docs/JOBS.md and docs/OPERATIONS.md say of what may go, and when.
struct RetentionTests {
    private static let day: Int64 = 24 * 3600 * 1000

    private static func job(_ state: JobState, _ finished: Int64? = nil) -> Job {
        var job = Job(id: "j-\(state.rawValue)", kind: .train, state: state, created: 0)
        job.finished = finished
        return job
    }

    @Test(arguments: JobState.allCases)
    func aJobGoesOnlyWhenItIsOver(state: JobState) {
        let isOver: Set<String> = ["SUCCEEDED", "FAILED", "CANCELLED"]
        let refusal = Retention.refusal(of: Self.job(state), needing: [])
        #expect((refusal == nil) == isOver.contains(state.rawValue))
        #expect(refusal?.contains(state.rawValue) ?? true)
    }

    @Test(arguments: JobState.allCases)
    func aJobStaysWhileOneThatIsNotOverNeedsIt(state: JobState) {
        let refusal = Retention.refusal(of: Self.job(.succeeded), needing: [Self.job(state)])
        let isOver: Set<String> = ["SUCCEEDED", "FAILED", "CANCELLED"]
        #expect((refusal == nil) == isOver.contains(state.rawValue))
        // Who it is that stands in the way.
        #expect(refusal?.contains("j-\(state.rawValue)") ?? true)
    }

    @Test func onlyWhatEndedAGraceAgoMakesRoom() {
        var policy = RetentionPolicy()
        policy.uploads = 7 * Self.day
        let rules = Retention(policy: policy, now: 100 * Self.day)
        #expect(rules.mayMakeRoom(Self.job(.failed, 93 * Self.day)))
        #expect(!rules.mayMakeRoom(Self.job(.failed, 93 * Self.day + 1)))
        #expect(!rules.mayMakeRoom(Self.job(.running, nil)))
        #expect(!rules.mayMakeRoom(Self.job(.queued, 1)))
    }

    @Test func logsGoByAgeThenBySizeTheOldestFirst() {
        var policy = RetentionPolicy()
        policy.logs = 30 * Self.day
        policy.logBytes = 100
        let rules = Retention(policy: policy, now: 100 * Self.day)
        func log(
            _ job: String,
            _ bytes: Int64,
            _ day: Int64?,
            of owner: String = "ada"
        ) -> Retention.Log {
            Retention.Log(
                job: job,
                owner: owner,
                bytes: bytes,
                finished: day.map { $0 * Self.day }
            )
        }
        // 500 bytes: the old one goes by age (450 left), then "b" and "c" by size (90 left).
        let logs = [
            log("live", 50, nil), log("c", 160, 91), log("old", 50, 70), log("b", 200, 90),
            log("d", 40, 92),
        ]
        #expect(rules.expired(logs).map(\.job) == ["old", "b", "c"])
        // A job that is not over keeps its log, however large.
        #expect(rules.expired([log("live", 1000, nil)]).isEmpty)
        #expect(rules.expired([log("d", 100, 92)]).isEmpty)
        // Who has less than half of it loses nothing to another's: 60 of 100 are left to the other.
        let shared = [
            log("a", 40, 80), log("m1", 50, 91, of: "mallory"), log("m2", 60, 92, of: "mallory"),
        ]
        #expect(rules.expired(shared).map(\.job) == ["m1"])
    }

    /// By hand: of 100 among three, 10 are kept, and the 90 that are left are 45 for each of the others.
    @Test(
        arguments: [
            (["a": 10, "b": 60, "c": 500], 100, ["b": 15, "c": 455]),
            (["a": 30, "b": 30, "c": 40], 100, [:]),
            (["a": 101], 100, ["a": 1]),
            (["a": 7, "b": 7], 0, ["a": 7, "b": 7]),
            (["a": 1, "b": 1_000_000], 11, ["b": 999_990]),
            ([:], 5, [:]),
        ] as [([String: Int64], Int64, [String: Int64])]
    )
    func aShareIsWhatTheOthersLeave(
        amounts: [String: Int64],
        limit: Int64,
        expected: [String: Int64]
    ) {
        #expect(FairShare.excess(of: amounts, above: limit) == expected)
    }

    @Test func aClockThatJumpsAheadMakesNothingOld() {
        var time = SteadyTime()
        let hour: Int64 = 3_600_000
        let year = 365 * Self.day
        // A year in the third hour; then set right, which is no jump ahead, but the wait goes on.
        let readings: [(unix: Int64, elapsed: Int64)] = [
            (0, 0), (hour, hour), (year, 2 * hour), (year + hour, 3 * hour), (4 * hour, 4 * hour),
            (25 * hour, 25 * hour), (26 * hour, 26 * hour),
        ]
        var admitted: [Bool] = []
        for reading in readings {
            admitted.append(time.admits(unix: reading.unix, elapsed: reading.elapsed))
        }
        #expect(admitted == [true, true, false, false, false, false, true])
    }

    @Test func aClockThatIsFarAheadAtAStartIsWaitedFor() {
        for (days, isAdmitted) in [(29, true), (31, false)] as [(Int64, Bool)] {
            var time = SteadyTime(lastKnown: 0)
            let first = time.admits(unix: days * Self.day, elapsed: 0)
            let later = time.admits(unix: (days + 1) * Self.day, elapsed: Self.day)
            #expect(first == isAdmitted && later)
        }
    }

    @Test func aCheckpointIsForgottenOnlyWhenTheJobIsOver() {
        let lifecycle = JobLifecycle(leaseDuration: 1)
        for state in JobState.allCases {
            var job = Self.job(state)
            job.checkpointStep = 5
            let decision = lifecycle.decide(
                .checkpointExpired,
                job,
                at: Moment(unix: 0, uptime: 0)
            )
            let isOver = ["SUCCEEDED", "FAILED", "CANCELLED"].contains(state.rawValue)
            #expect(decision.job.checkpointStep == (isOver ? 0 : 5))
        }
    }
}
