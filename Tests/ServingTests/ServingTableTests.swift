internal import Jobs
internal import Protocol
internal import Serving
internal import Testing

@testable internal import Gateway

/// Requests and replicas as the table sees them, with replicas and a clock that the tests play.
struct ServingTableTests {
    private static let model = ServingTable.Service(owner: "ann", name: "tiny")

    private var table = ServingTable(
        limits: {
            var limits = ServingTable.Limits()
            limits.queuedPerModel = 3
            limits.perUser = 5
            limits.queuedBytes = 1000
            return limits
        }()
    )
    private let start = ContinuousClock.now

    private func replica(_ job: String, slots: Int = 2, session: UInt64 = 1) -> ServingTable.Replica
    {
        ServingTable.Replica(
            job: job,
            service: Self.model,
            claim: Self.claim(job),
            session: session,
            slots: slots,
            length: 64,
            heard: start
        )
    }

    private static func claim(_ job: String) -> LeaseClaim {
        let worker = WorkerIdentity(role: .eval, instance: "eval-\(job)")
        return LeaseClaim(epoch: 1, holder: LeaseHolder(worker: worker, boot: "boot"))
    }

    private func request(
        _ number: UInt64,
        user: String = "ann",
        count: Int = 1,
        bytes: Int = 10
    ) -> ServingTable.Request {
        ServingTable.Request(
            number: number,
            service: Self.model,
            user: user,
            content: TextRequest(prompt: .text("\(number)"), count: count),
            asksForTokens: false,
            byteCount: bytes,
            came: start
        )
    }

    /// The orders among what is to be done: the session and the number.
    private func orders(_ actions: [ServingTable.Action], _ wanted: ReplicaOrder.Action) -> [String]
    {
        actions.compactMap {
            guard case .order(let session, let order) = $0, order.action == wanted else {
                return nil
            }
            return "\(session):\(order.number)"
        }
    }

    private func failures(_ actions: [ServingTable.Action]) -> [UInt64: RPCError] {
        actions.reduce(into: [:]) { found, action in
            if case .fail(let number, let error) = action { found[number] = error }
        }
    }

    private mutating func hear(
        _ job: String,
        _ answers: [ReplicaAnswer] = [],
        _ report: ReplicaReport? = nil
    ) -> [ServingTable.Action]? {
        table.hear(job, Self.claim(job), answers, report, at: start)
    }

    @Test func refusesModelsThatNobodyServes() throws {
        var table = table
        let error = #expect(throws: RPCError.self) { try table.add(request(1), at: start) }
        #expect(error?.code == .notFound)
    }

    @Test mutating func givesRequestsToTheLeastLoadedReplica() throws {
        _ = table.connect(replica("a", slots: 2, session: 1), created: 1, at: start)
        _ = table.connect(replica("b", slots: 4, session: 2), created: 1, at: start)
        let sent = try (1...6).map { number in
            orders(try table.add(request(UInt64(number), user: "u\(number)"), at: start), .write)
        }
        // Shares before each: 0/2 and 0/4; 1/2, 0/4; 1/2, 1/4; 1/2, 2/4; 2/2, 2/4; 2/2, 3/4.
        #expect(sent == [["1:1"], ["2:2"], ["2:3"], ["1:4"], ["2:5"], ["2:6"]])
        // Every place is taken.
        #expect(orders(try table.add(request(7, user: "bob"), at: start), .write) == [])
    }

    @Test mutating func waitsForPlacesAndHandsThemOn() throws {
        _ = table.connect(replica("a", slots: 1), created: 1, at: start)
        #expect(orders(try table.add(request(1), at: start), .write) == ["1:1"])
        #expect(orders(try table.add(request(2), at: start), .write) == [])
        let next = try #require(hear("a", [ReplicaAnswer(1, .over)]))
        #expect(orders(next, .write) == ["1:2"])
        #expect(table.requests.keys.sorted() == [2])
    }

    /// Answers take a place each; a request for more than there are waits until nothing else is there.
    @Test mutating func countsEachAnswerOfARequest() throws {
        _ = table.connect(replica("a", slots: 3), created: 1, at: start)
        #expect(orders(try table.add(request(1, count: 2), at: start), .write) == ["1:1"])
        #expect(orders(try table.add(request(2, count: 5), at: start), .write) == [])
        let next = try #require(hear("a", [ReplicaAnswer(1, .over)]))
        #expect(orders(next, .write) == ["1:2"])
    }

    @Test mutating func servesInTheOrderOfComing() throws {
        _ = table.connect(replica("a", slots: 1), created: 1, at: start)
        _ = try table.add(request(1, user: "ann"), at: start)
        _ = try table.add(request(2, user: "ann"), at: start)
        _ = try table.add(request(3, user: "bob"), at: start)
        // Nobody has any under way when a place becomes free.
        #expect(orders(try #require(hear("a", [ReplicaAnswer(1, .over)])), .write) == ["1:2"])
        #expect(orders(try #require(hear("a", [ReplicaAnswer(2, .over)])), .write) == ["1:3"])
    }

    @Test mutating func prefersUsersWithFewerRequestsUnderWay() throws {
        _ = table.connect(replica("a", slots: 2), created: 1, at: start)
        for number in UInt64(1)...3 { _ = try table.add(request(number, user: "ann"), at: start) }
        _ = try table.add(request(4, user: "bob"), at: start)
        #expect(orders(try #require(hear("a", [ReplicaAnswer(1, .over)])), .write) == ["1:4"])
    }

    @Test mutating func boundsWhatWaits() throws {
        _ = table.connect(replica("a", slots: 1), created: 1, at: start)
        for number in UInt64(1)...4 {
            _ = try table.add(request(number, user: "u\(number)"), at: start)
        }
        let full = #expect(throws: RPCError.self) {
            try table.add(request(5, user: "u5"), at: start)
        }
        #expect(full?.code == .resourceExhausted && full?.retryAfter != nil)
        #expect(full?.message.contains("3 requests wait") == true)
    }

    @Test mutating func boundsUsersAndBytes() throws {
        _ = table.connect(replica("a", slots: 5), created: 1, at: start)
        for number in UInt64(1)...5 { _ = try table.add(request(number), at: start) }
        let own = #expect(throws: RPCError.self) { try table.add(request(6), at: start) }
        #expect(own?.message.contains("5 requests of ann") == true)
        let large = #expect(throws: RPCError.self) {
            try table.add(request(7, user: "bob", bytes: 1001), at: start)
        }
        #expect(large?.code == .resourceExhausted)
    }

    @Test mutating func freesThePlaceOfACallerWhoLeaves() throws {
        _ = table.connect(replica("a", slots: 1), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        _ = try table.add(request(2), at: start)
        let actions = table.remove(1, at: start)
        #expect(orders(actions, .cancel) == ["1:1"])
        #expect(orders(actions, .write) == ["1:2"])
        // What comes of it still is nobody's, and the replica is told again.
        let late = try #require(
            hear("a", [ReplicaAnswer(1, .answer(.text(index: 0, "x", tokens: [])))])
        )
        #expect(orders(late, .cancel) == ["1:1"])
    }

    @Test mutating func failsWhatALostReplicaHadBegunAndMovesTheRest() throws {
        _ = table.connect(replica("a", slots: 2, session: 1), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        _ = try table.add(request(2), at: start)
        _ = hear("a", [ReplicaAnswer(1, .answer(.accepted(promptTokens: 3)))])
        _ = hear("a", [ReplicaAnswer(1, .answer(.text(index: 0, "x", tokens: [])))])
        _ = hear("a", [ReplicaAnswer(2, .answer(.accepted(promptTokens: 3)))])
        let lost = table.disconnect("a", session: 1, at: start)
        let error = try #require(failures(lost)[1])
        #expect(error.code == .unavailable)
        #expect(error.message.contains("eval/eval-a") && error.message.contains("was lost"))
        #expect(failures(lost).count == 1)
        // Nothing was told of the other one: another replica begins it anew.
        let next = table.connect(replica("b", slots: 2, session: 2), created: 1, at: start)
        #expect(orders(next, .write) == ["2:2"])
        // That its prompt was taken is told once.
        let again = try #require(hear("b", [ReplicaAnswer(2, .answer(.accepted(promptTokens: 3)))]))
        #expect(!again.contains { if case .answer = $0 { true } else { false } })
    }

    @Test mutating func givesUpARequestThatLosesReplicaAfterReplica() throws {
        _ = table.connect(replica("a", session: 1), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        #expect(failures(table.disconnect("a", session: 1, at: start)).isEmpty)
        _ = table.connect(replica("a", session: 2), created: 1, at: start)
        #expect(failures(table.disconnect("a", session: 2, at: start))[1]?.code == .unavailable)
    }

    @Test mutating func sendsNothingToAReplicaThatDrains() throws {
        _ = table.connect(replica("a", slots: 4, session: 1), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        var report = ReplicaReport()
        report.isDraining = true
        _ = hear("a", [], report)
        #expect(orders(try table.add(request(2), at: start), .write) == [])
        // What was on its way when it began to drain comes back, and goes to the next one.
        let back = ReplicaAnswer(1, .refused(ReplicaRefusal(.draining, "no more")))
        #expect(failures(try #require(hear("a", [back]))).isEmpty)
        let next = table.connect(replica("b", slots: 4, session: 2), created: 1, at: start)
        #expect(orders(next, .write) == ["2:1", "2:2"])
    }

    @Test mutating func givesUpWhatHasWaitedTooLong() throws {
        _ = table.connect(replica("a", slots: 1, session: 1), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        _ = try table.add(request(2), at: start)
        #expect(failures(table.expire(at: start + .seconds(59))).isEmpty)
        _ = table.hear("a", Self.claim("a"), [], nil, at: start + .seconds(60))
        let busy = failures(table.expire(at: start + .seconds(60)))
        #expect(busy.keys.sorted() == [2] && busy[2]?.code == .resourceExhausted)
        _ = table.disconnect("a", session: 1, at: start + .seconds(61))
        #expect(failures(table.expire(at: start + .seconds(61)))[1]?.code == .unavailable)
        #expect(table.services.count == 1)
        _ = table.expire(at: start + .seconds(121))
        #expect(table.services.isEmpty)
    }

    @Test mutating func forgetsAModelThatIsServedNoMore() throws {
        _ = table.connect(replica("a", session: 1), created: 1, at: start)
        #expect(table.giveUp(Self.model).isEmpty)
        _ = table.disconnect("a", session: 1, at: start)
        _ = try table.add(request(1), at: start)
        #expect(failures(table.giveUp(Self.model))[1]?.code == .notFound)
        #expect(table.services.isEmpty && table.requests.isEmpty)
    }

    @Test mutating func takesNoReplicaThatIsSilent() throws {
        _ = table.connect(replica("a", slots: 4), created: 1, at: start)
        let later = start + .seconds(60)
        #expect(orders(try table.add(request(1), at: later), .write) == [])
        let heard = table.hear("a", Self.claim("a"), [], nil, at: later)
        #expect(orders(try #require(heard), .write) == ["1:1"])
    }

    @Test mutating func hearsOnlyWhoHoldsTheLease() {
        _ = table.connect(replica("a"), created: 1, at: start)
        #expect(table.hear("a", Self.claim("b"), [], nil, at: start) == nil)
        #expect(table.hear("b", Self.claim("b"), [], nil, at: start) == nil)
    }

    @Test mutating func aLaterCallTakesAnEarlierOnesPlace() throws {
        _ = table.connect(replica("a", session: 1), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        let actions = table.connect(replica("a", session: 2), created: 1, at: start)
        #expect(actions.contains { if case .leave(1) = $0 { true } else { false } })
        #expect(orders(actions, .write) == ["2:1"])
        // The earlier call's end changes nothing.
        #expect(table.disconnect("a", session: 1, at: start).isEmpty)
        #expect(table.replicas["a"]?.session == 2)
    }

    @Test mutating func passesRefusalsOn() throws {
        _ = table.connect(replica("a"), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        _ = try table.add(request(2), at: start)
        let refusals = [
            ReplicaAnswer(1, .refused(ReplicaRefusal(.invalid, "max_tokens is 0, below 1"))),
            ReplicaAnswer(2, .refused(ReplicaRefusal(.failed, "a logit is NaN"))),
        ]
        let failed = failures(try #require(hear("a", refusals)))
        #expect(
            failed[1]?.code == .invalidArgument && failed[1]?.message == "max_tokens is 0, below 1"
        )
        #expect(failed[2]?.code == .unavailable && failed[2]?.message == "a logit is NaN")
        #expect(table.requests.isEmpty && table.replicas["a"]?.used == 0)
    }

    @Test mutating func closingLetsWhatIsUnderWayEnd() throws {
        _ = table.connect(replica("a", slots: 1), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        _ = try table.add(request(2), at: start)
        let closed = table.close()
        #expect(failures(closed).keys.sorted() == [2])
        #expect(!closed.contains { if case .leave = $0 { true } else { false } })
        let refused = #expect(throws: RPCError.self) { try table.add(request(3), at: start) }
        #expect(refused?.code == .unavailable)
        let end = try #require(hear("a", [ReplicaAnswer(1, .over)]))
        #expect(end.contains { if case .leave(1) = $0 { true } else { false } })
    }

    @Test mutating func measuresTheTimeToTheFirstText() throws {
        _ = table.connect(replica("a"), created: 1, at: start)
        _ = try table.add(request(1), at: start)
        for second in [0.3, 0.9] {
            let text = ReplicaAnswer(1, .answer(.text(index: 0, "x", tokens: [])))
            _ = table.hear("a", Self.claim("a"), [text], nil, at: start + .seconds(second))
        }
        let histogram = try #require(table.replicas["a"]?.firstText)
        #expect(histogram.count == 1 && abs(histogram.sum - 0.3) < 1e-9)
        #expect(histogram.counts == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1])
    }
}
