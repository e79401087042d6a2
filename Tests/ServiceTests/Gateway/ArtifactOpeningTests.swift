internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// What is brought, or asked for, stays with whoever did so, whatever becomes of jobs and of others.
struct ArtifactOpeningTests {
    private static let day: Int64 = 86_400

    /// How somebody comes to have an artifact.
    enum Way: CaseIterable, Sendable {
        case putting, asking
    }

    /// When that is, as seen from the end of the job that makes the same bytes.
    enum Time: CaseIterable, Sendable {
        case before, after, longAfter
    }

    private static func missing(_ text: String, _ client: RPCClient) async throws -> Bool {
        let request = FindMissingRequest(digests: [.of(text)])
        return try await !client.call(QatMethods.findMissing, request).digests.isEmpty
    }

    private static func take(
        _ text: String,
        _ way: Way,
        _ gateway: GatewayFixture,
        _ client: RPCClient
    ) async throws {
        switch way {
        case .putting: try await gateway.put(text, client)
        case .asking: #expect(try await !missing(text, client))
        }
    }

    /// Runs a job whose output is `text`.
    private static func run(
        _ gateway: GatewayFixture,
        _ user: RPCClient,
        _ worker: RPCClient,
        key: String = "k",
        making text: String
    ) async throws -> String {
        let id = try await gateway.submit(user, key: key)
        let lease = try await gateway.lease(worker, "quant-1")
        try await gateway.put(text, worker)
        let done = try await worker.call(
            QatMethods.completeLease,
            CompleteLeaseRequest(
                jobID: id,
                epoch: lease.epoch,
                outputs: [
                    OutputFile(name: "model", digest: .of(text), size: UInt64(text.utf8.count))
                ],
                bootID: "b1"
            )
        )
        #expect(done.accepted)
        return id
    }

    private static func remove(_ id: String, _ client: RPCClient) async throws -> RemoveJobResponse
    {
        try await client.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
    }

    /// Seen: an upload went with a job that made the same bytes, acknowledged as it was.
    @Test(arguments: Way.allCases, Time.allCases)
    func whatOneBringsOutlivesAJobThatMakesIt(way: Way, time: Time) async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            // Nobody can ask for what is not there.
            let isBefore = time == .before && way == .putting
            if isBefore { try await gateway.put("o", ada) }
            let id = try await Self.run(gateway, ada, worker, making: "o")
            if time == .longAfter {
                gateway.jobs.advance(seconds: 2 * 3_600)
                try await gateway.register(worker, .quant, "quant-1")
            }
            if !isBefore { try await Self.take("o", way, gateway, ada) }
            let gone = try await Self.remove(id, ada)
            #expect(gone.keptBytes >= 1)
            #expect(try await gateway.get(.of("o"), ada) == "o")
            // And it is hers to submit with.
            try await gateway.submit(ada, key: "next", text: "o", uploads: false)
        }
    }

    /// Seen: outputs stayed a week, as uploads, or not, by the order in which two jobs were removed.
    @Test(arguments: [[0, 1], [1, 0]])
    func whatOnlyJobsMadeGoesWithTheLastOfThem(order: [Int]) async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            var ids: [String] = []
            for key in ["a", "b"] {
                ids.append(try await Self.run(gateway, ada, worker, key: key, making: "same"))
                gateway.jobs.advance(seconds: 5)
            }
            let first = try await Self.remove(ids[order[0]], ada)
            #expect(first.freedBytes == 0)
            #expect(try await gateway.get(.of("same"), ada) == "same")
            let second = try await Self.remove(ids[order[1]], ada)
            #expect(second.freedBytes == 4)
            #expect(gateway.artifacts.size(.of("same")) == nil)
        }
    }

    /// Who sees everything is told that a file is there, and brings nothing.
    ///
    /// Seen: it went with the one who had brought it.
    @Test(arguments: [AccessPolicy.Visibility.own, .all])
    func whoSeesAllKeepsWhatTheyAskedFor(visibility: AccessPolicy.Visibility) async throws {
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        policy.visibility = visibility
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            let others =
                try visibility == .all ? ["olga", "bob"].map(gateway.user) : [gateway.user("olga")]
            try await gateway.put("x", ada)
            for other in others { #expect(try await !Self.missing("x", other)) }
            let blob = try await ada.call(
                QatMethods.removeBlobs,
                RemoveBlobsRequest(digests: [.of("x")])
            ).blobs.first
            #expect(blob?.outcome == .closed)
            for other in others {
                #expect(try await gateway.get(.of("x"), other) == "x")
                gateway.jobs.advance(seconds: 1)
                try await gateway.submit(other, key: "with x", text: "x", uploads: false)
            }
        }
    }

    /// While a backup runs, nothing is collected: what a removed job leaves belongs to nobody.
    ///
    /// Seen: an operator was told that it is there, and that it is not, until the next round.
    @Test func whatABackupKeepsFromGoingCanBeTakenUpAgain() async throws {
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        try await GatewayFixture.run(policy) { gateway in
            let olga = try gateway.user("olga")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await Self.run(gateway, olga, worker, making: "o")
            let backup = try #require(try CollectionLock.alone(root: gateway.artifacts.root))
            let gone = try await Self.remove(id, olga)
            // Her model is kept as an upload; nobody brought the output.
            #expect(gone.freedBytes == 0 && gone.keptBytes == 1)
            #expect(gateway.artifacts.size(.of("o")) == 1)
            withExtendedLifetime(backup) {}
            #expect(try await !Self.missing("o", olga))
            try await gateway.submit(olga, key: "again", text: "o", uploads: false)
        }
    }
}
