internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Who loses a right has it no longer, in calls that are under way either.
struct PermitTests {
    private static func user(_ name: String) -> Principal {
        Principal(PeerIdentity(trustDomain: "test", subject: .user(name: name)))
    }

    private static let worker = Principal(
        PeerIdentity(trustDomain: "test", subject: .service(role: "train", instance: "train-1"))
    )

    private static func policy(_ json: String) throws -> AccessPolicy {
        try AccessPolicy(json: Data(json.utf8))
    }

    /// What a call ends with: its code and its sentence.
    private static func end(_ call: () async throws -> Void) async -> String {
        do {
            try await call()
            return "an answer"
        } catch {
            guard let known = StoreError(error) else { return "\(error)" }
            return "\(known.code) \(known.message)"
        }
    }

    /// Policies before and after, of which the second takes Olga's right to see Ada's jobs.
    private static let changes = [
        (#"{"operators": ["olga"]}"#, "{}"),
        (#"{"visibility": "all"}"#, #"{"visibility": "own"}"#),
        (#"{"operators": ["olga"]}"#, #"{"operators": ["olga"], "methods": {"operator": []}}"#),
        (#"{"visibility": "all"}"#, #"{"visibility": "all", "methods": {"user": []}}"#),
    ]

    /// Seen: 4,452 further events and 8 pieces of the log, for whoever had been an operator.
    @Test(arguments: changes)
    func aFollowerWhoMayNotSeeTheJobAnyMoreGetsNoMoreOfIt(
        _ before: String,
        _ after: String
    ) async throws {
        let policies = (try Self.policy(before), try Self.policy(after))
        try await GatewayFixture.run(policies.0) { gateway in
            let api = gateway.api
            let id = try await gateway.jobs.submit("k")
            _ = try await gateway.jobs.engine.cancel(id, now: true, by: "ada")
            _ = try api.logs.append(id, offset: 0, [UInt8](repeating: 65, count: 100_000))
            let watch = WatchJobRequest(jobID: id)
            let follow = JobLogsRequest(jobID: id, offset: 0, follow: true)
            let olga = Self.user("olga")
            var events = try await api.events(watch, by: olga).makeAsyncIterator()
            var log = try await api.log(follow, by: olga).makeAsyncIterator()
            // Both have more at hand.
            #expect(try await events.next()?.seq == 1)
            #expect(try await log.next()?.offset == 0)
            api.authority.policies.put(policies.1)
            let ends = (
                await Self.end { _ = try await events.next() },
                await Self.end { _ = try await log.next() }
            )
            let anew = (
                await Self.end { _ = try await api.events(watch, by: olga) },
                await Self.end { _ = try await api.log(follow, by: olga) }
            )
            #expect(ends == anew)
            #expect(ends.0 != "an answer" && ends.1 != "an answer")
        }
    }

    /// Nothing happens to the job, and the change itself ends the waits: over a connection, too.
    @Test(.timeLimit(.minutes(10)))
    func aFollowerWhoWaitsIsToldAtOnce() async throws {
        let before = try Self.policy(#"{"operators": ["olga"]}"#)
        try await GatewayFixture.run(before) { gateway in
            let olga = try gateway.user("olga")
            let id = try await gateway.submit(try gateway.user("ada"))
            let hub = gateway.jobs.engine.hub
            try await withThrowingTaskGroup(of: RPCError.Code?.self) { group in
                group.addTask {
                    await code {
                        try await olga.stream(
                            QatMethods.watchJob,
                            WatchJobRequest(jobID: id),
                            onMessage: { _ in }
                        )
                    }
                }
                group.addTask {
                    await code {
                        try await olga.stream(
                            QatMethods.jobLogs,
                            JobLogsRequest(jobID: id, follow: true),
                            onMessage: { _ in }
                        )
                    }
                }
                while hub.subscriberCount(id) < 2 { await Task.yield() }
                gateway.jobs.engine.policies.put(AccessPolicy())
                for try await code in group { #expect(code == .notFound) }
            }
        }
    }

    /// Whoever may go on goes on, as often as the policy changes.
    @Test func theOwnerMissesNothing() async throws {
        try await GatewayFixture.run { gateway in
            let id = try await gateway.jobs.submit("k")
            _ = try await gateway.jobs.engine.cancel(id, now: true, by: "ada")
            var seqs: [UInt64] = []
            let ada = Self.user("ada")
            for try await event in try await gateway.api.events(.init(jobID: id), by: ada) {
                seqs.append(event.seq)
                gateway.jobs.engine.policies.put(try Self.policy(#"{"operators": ["olga"]}"#))
            }
            // Submitted, in the queue, cancelled.
            #expect(seqs == [1, 2, 3])
        }
    }

    @Test func aDownloadEndsWithTheRight() async throws {
        let before = try Self.policy(#"{"operators": ["olga"]}"#)
        try await GatewayFixture.run(before) { gateway in
            let text = String(repeating: "model", count: 200_000)
            try await gateway.put(text, try gateway.user("ada"))
            let request = GetBlobRequest(digest: .of(text))
            let blob = try await gateway.api.blob(request, by: Self.user("olga"))
            var count = 0
            let end = await Self.end {
                try await blob.read { chunk in
                    count += chunk.count
                    gateway.jobs.engine.policies.put(AccessPolicy())
                }
            }
            let anew = await Self.end {
                _ = try await gateway.api.blob(request, by: Self.user("olga"))
            }
            #expect(end == anew && end.hasPrefix("notFound"))
            #expect(count > 0 && count < text.utf8.count)
        }
    }

    /// What comes after the change is not kept, nor opened to anybody.
    @Test func anUploadEndsWithTheRight() async throws {
        try await GatewayFixture.run { gateway in
            let pieces = ["one", "two", "three"]
            let digest = SHA256Digest.of(pieces.joined())
            let (chunks, sender) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
            let after = try Self.policy(#"{"methods": {"user": []}}"#)
            for piece in pieces { sender.yield(Array(piece.utf8)) }
            sender.finish()
            let changing = chunks.map { chunk in
                if chunk == Array("two".utf8) { gateway.jobs.engine.policies.put(after) }
                return chunk
            }
            let request = PutBlobRequest(digest: digest, size: 11)
            let end = await Self.end {
                _ = try await gateway.api.putBlob(request, chunks: changing, by: Self.user("ada"))
            }
            let anew = await Self.end {
                _ = try await gateway.api.putBlob(request, chunks: changing, by: Self.user("ada"))
            }
            #expect(end == anew && end.contains("no line of the policy"))
            #expect(gateway.artifacts.size(digest) == nil)
            #expect(try await gateway.jobs.engine.store.byteCount(of: "user/ada") == 0)
        }
    }

    /// An operator's collection does not go on over everybody's artifacts.
    @Test func aCollectionEndsWithTheRight() async throws {
        let before = try Self.policy(#"{"operators": ["olga"]}"#)
        try await GatewayFixture.run(before) { gateway in
            let ada = try gateway.user("ada")
            for text in ["a", "b", "c"] { try await gateway.put(text, ada) }
            // Beyond an operator's time of grace.
            gateway.jobs.advance(seconds: 366 * 86_400)
            var told = 0
            let end = await Self.end {
                try await gateway.api.collectGarbage(
                    CollectGarbageRequest(),
                    by: Self.user("olga")
                ) { _ in
                    told += 1
                    gateway.jobs.engine.policies.put(AccessPolicy())
                }
            }
            #expect(told == 1)
            #expect(end.contains("changed meanwhile"))
            let left = ["a", "b", "c"].filter { gateway.artifacts.size(.of($0)) != nil }
            #expect(left.count == 2)
        }
    }

    @Test func anAuditEndsWithTheRight() async throws {
        let before = try Self.policy(#"{"operators": ["olga"]}"#)
        try await GatewayFixture.run(before) { gateway in
            let ada = try gateway.user("ada")
            for text in ["a", "b", "c"] {
                try await gateway.put(text, ada)
                try Data("x".utf8).write(to: URL(filePath: gateway.artifacts.path(.of(text))))
            }
            var told = 0
            let end = await Self.end {
                try await gateway.api.verifyArtifacts(by: Self.user("olga")) { _ in
                    told += 1
                    gateway.jobs.engine.policies.put(AccessPolicy())
                }
            }
            #expect(told == 1)
            #expect(end.contains("no line of the policy"))
        }
    }

    /// A worker that waits for a job gets none that it could not ask for.
    @Test func aWaitForAJobEndsWithTheRight() async throws {
        try await GatewayFixture.run { gateway in
            try await gateway.jobs.register()
            let api = gateway.api
            let acquire = Task {
                await Self.end {
                    _ = try await api.acquire(
                        AcquireLeaseRequest(instance: "train-1", bootID: "b1", waitSeconds: 30),
                        by: Self.worker
                    )
                }
            }
            while gateway.jobs.engine.hub.subscriberCount(JobEngine.queueTopic) == 0 {
                await Task.yield()
            }
            gateway.jobs.engine.policies.put(try Self.policy(#"{"methods": {"train": []}}"#))
            #expect(await acquire.value.contains("no line of the policy"))
        }
    }
}
