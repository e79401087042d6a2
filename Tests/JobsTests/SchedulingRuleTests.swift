internal import Jobs
internal import Testing

struct SchedulingRuleTests {
    private static let minute: Int64 = 60_000

    @Test(arguments: [
        ("low", Int64(-50)), ("normal", 0), ("high", 50), ("-100", -100), ("100", 100), ("7", 7),
    ])
    func prioritiesAreWordsOrNumbers(text: String, value: Int64) {
        #expect(Priority(parsing: text)?.rawValue == value)
    }

    @Test(arguments: ["", "urgent", "101", "-101", "1.5", "High"])
    func otherPrioritiesAreNone(text: String) { #expect(Priority(parsing: text) == nil) }

    /// docs/JOBS.md: ten minutes of waiting weigh as much as a point.
    @Test func waitingWeighsAsMuchAsPriority() throws {
        let high = Priority.high
        // 50 points are 500 minutes: a normal job that waited longer goes first.
        #expect(Priority.normal.rank(created: 0) > high.rank(created: 499 * Self.minute))
        #expect(Priority.normal.rank(created: 0) == high.rank(created: 500 * Self.minute))
        #expect(Priority.normal.rank(created: 0) < high.rank(created: 501 * Self.minute))
    }

    /// 33 h 20 min after the least urgent job, nothing that comes goes before it.
    @Test func nothingStarves() throws {
        let least = try #require(Priority(rawValue: -100)).rank(created: 0)
        let most = try #require(Priority(rawValue: 100))
        let day: Int64 = 24 * 60
        #expect(least < most.rank(created: (33 * 60 + 21) * Self.minute))
        #expect(least > most.rank(created: day * Self.minute))
    }

    @Test func anOrderHasEachAfterWhatItNeeds() {
        let needs = ["compare": ["train", "quantize"], "train": ["quantize"]]
        let outcome = DependencyOrder.order(["compare", "train", "quantize"], needs: needs)
        #expect(outcome == .order(["quantize", "train", "compare"]))
        // What is known elsewhere is not waited for.
        #expect(DependencyOrder.order(["b", "a"], needs: ["b": ["x"]]) == .order(["b", "a"]))
    }

    @Test func ringsAreFound() {
        #expect(DependencyOrder.order(["a"], needs: ["a": ["a"]]) == .ring(["a"]))
        let needs = ["a": ["b"], "b": ["c"], "c": ["b"], "d": []]
        #expect(DependencyOrder.order(["a", "b", "c", "d"], needs: needs) == .ring(["b", "c"]))
    }

    @Test(arguments: [
        ([JobState.succeeded: 2, .running: 1, .failed: 1], JobState.running),
        ([.queued: 1, .blocked: 2, .succeeded: 1], .queued), ([.blocked: 1, .failed: 1], .blocked),
        ([.succeeded: 1, .cancelled: 1, .failed: 1], .failed),
        ([.succeeded: 1, .cancelled: 1], .cancelled), ([.succeeded: 3], .succeeded),
        ([.cancelling: 1, .queued: 1], .running),
    ])
    func aPipelineStandsAsItsJobsDo(counts: [JobState: Int], state: JobState) {
        #expect(PipelineState.state(of: counts) == state)
    }
}
