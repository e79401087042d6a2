internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// What a follower who does not read makes the gateway hold.
struct FollowingTests {
    private static func metrics(_ count: Int) -> JobEvent {
        let json = #"{"x":""# + String(repeating: "a", count: count - 8) + #""}"#
        return JobEvent(type: .metric, metricsJSON: Array(json.utf8))
    }

    /// Seen: a mebibyte for each of thousands of calls.
    @Test func largeEventsAreReadOneByOne() {
        typealias Iterator = JobEvents.AsyncIterator
        let large = (0..<16).map { _ in Self.metrics(64 << 10) }
        #expect(Iterator.page(of: large).count == 1)
        let half = (0..<16).map { _ in Self.metrics(30 << 10) }
        #expect(Iterator.page(of: half).count == 2)
        let small = (0..<16).map { _ in JobEvent(type: .log, message: "a line") }
        #expect(Iterator.page(of: small).count == 16)
        #expect(Iterator.page(of: []).isEmpty)
        #expect(Iterator.page(of: [Self.metrics(1 << 20)]).count == 1)
    }

    /// However they are cut, all of them come, to the end.
    @Test func allEventsComeInOrder() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let lease = try #require(try await fixture.acquire())
        for size in [60 << 10, 100, 40 << 10, 20 << 10, 64 << 10] {
            let events = (0..<20).map { _ in Self.metrics(size) }
            _ = try await fixture.heartbeat(lease, events: events)
        }
        #expect(try await fixture.complete(lease))
        let stored = try await fixture.events(id)
        #expect(stored.count { $0.type == .metric } == 100)
        var seqs: [UInt64] = []
        let engine = fixture.engine
        let permit = try await Permit(engine.policies) {}
        for try await event in JobEvents(engine: engine, job: id, after: 0, permit: permit) {
            seqs.append(event.seq)
        }
        #expect(seqs == stored.map(\.seq))
        #expect(seqs == Array(1...UInt64(seqs.count)))
    }
}
