internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Removing artifacts, and finding damaged ones, over real connections.
struct ArtifactRemovalTests {
    private static let day: Int64 = 86_400

    private static func policy() -> AccessPolicy {
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        return policy
    }

    private static func remove(_ text: String, _ client: RPCClient) async throws -> RemovedBlob {
        try #require(
            try await client.call(
                QatMethods.removeBlobs,
                RemoveBlobsRequest(digests: [.of(text)])
            ).blobs.first
        )
    }

    private static func collect(
        _ client: RPCClient,
        isDryRun: Bool = false,
        olderThan seconds: Int64? = nil
    ) async throws -> [CollectedBlob] {
        var blobs: [CollectedBlob] = []
        try await client.stream(
            QatMethods.collectGarbage,
            CollectGarbageRequest(dryRun: isDryRun, olderThanSeconds: seconds)
        ) { blobs.append($0) }
        return blobs
    }

    @Test func anArtifactThatAJobRefersToIsRefusedWithTheJobsID() async throws {
        try await GatewayFixture.run(Self.policy()) { gateway in
            let ada = try gateway.user("ada")
            let olga = try gateway.user("olga")
            let id = try await gateway.submit(ada)
            for client in [ada, olga] {
                let blob = try await Self.remove("m", client)
                #expect(blob.outcome == .refused && blob.message.contains(id))
                #expect(blob.message.contains("QUEUED"))
            }
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
            let blob = try await Self.remove("m", ada)
            #expect(blob.outcome == .refused && blob.message.contains("jobs rm"))
            _ = try await ada.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
            #expect(try await Self.remove("m", ada).outcome == .removed)
            #expect(gateway.artifacts.size(.of("m")) == nil)
            #expect(try await Self.remove("m", ada).outcome == .refused)
        }
    }

    @Test func whatOthersBroughtTooStaysWithThem() async throws {
        try await GatewayFixture.run(Self.policy()) { gateway in
            let ada = try gateway.user("ada")
            let bob = try gateway.user("bob")
            let eve = try gateway.user("eve")
            let olga = try gateway.user("olga")
            try await gateway.put("x", ada)
            try await gateway.put("x", bob)
            // Not hers: she learns nothing of it.
            let stranger = try await Self.remove("x", eve)
            #expect(
                stranger.outcome == .refused && stranger.message.hasPrefix("no artifact sha256:")
            )
            #expect(try await Self.remove("x", ada).outcome == .closed)
            #expect(await code { _ = try await gateway.get(.of("x"), ada) } == .notFound)
            #expect(try await gateway.get(.of("x"), bob) == "x")
            #expect(try await Self.remove("x", olga).outcome == .removed)
            #expect(gateway.artifacts.size(.of("x")) == nil)
        }
    }

    @Test func garbageIsWhatNoJobRefersToAfterItsGrace() async throws {
        try await GatewayFixture.run(Self.policy()) { gateway in
            let ada = try gateway.user("ada")
            let bob = try gateway.user("bob")
            let olga = try gateway.user("olga")
            try await gateway.submit(ada)
            try await gateway.put("mine", ada)
            try await gateway.put("asked for", ada)
            try await gateway.put("his", bob)
            gateway.jobs.advance(seconds: 7 * Self.day - 1)
            #expect(try await Self.collect(olga, isDryRun: true).isEmpty)
            // A submission that is being prepared asks: what it needs stays another week.
            let missing = try await ada.call(
                QatMethods.findMissing,
                FindMissingRequest(digests: [.of("asked for"), .of("never")])
            )
            #expect(missing.digests == [.of("never")])
            gateway.jobs.advance(seconds: 2)
            let own = [CollectedBlob(digest: .of("mine"), size: 4)]
            #expect(try await Self.collect(ada, isDryRun: true) == own)
            #expect(gateway.artifacts.size(.of("mine")) == 4)
            #expect(try await Self.collect(ada) == own)
            #expect(try await Self.collect(ada).isEmpty)
            // An operator collects everybody's, and cannot shorten anybody's grace.
            let his = [CollectedBlob(digest: .of("his"), size: 3)]
            #expect(try await Self.collect(olga, isDryRun: true, olderThan: 0) == his)
            #expect(try await Self.collect(olga, olderThan: 0) == his)
            // A user may give up their own at once; what a job refers to stays.
            let rest = [CollectedBlob(digest: .of("asked for"), size: 9)]
            #expect(try await Self.collect(ada, olderThan: 0) == rest)
            #expect(try gateway.artifacts.digests() == [.of("m")])
        }
    }

    /// Seen: eight days of a clock that somebody set took uploads of seconds ago.
    @Test func aClockThatWasSetAheadMakesNoUploadOld() async throws {
        try await GatewayFixture.run(Self.policy()) { gateway in
            let ada = try gateway.user("ada")
            let olga = try gateway.user("olga")
            let id = try await gateway.submit(ada)
            try await gateway.put("loose", ada)
            // The clock is looked at once before.
            #expect(try await Self.collect(olga, isDryRun: true).isEmpty)
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
            gateway.jobs.jump(seconds: 8 * Self.day)
            _ = try await ada.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
            for user in [ada, olga] {
                #expect(await code { _ = try await Self.collect(user) } == .unavailable)
            }
            #expect(gateway.artifacts.size(.of("m")) == 1)
            #expect(gateway.artifacts.size(.of("loose")) == 5)
            // What one gives up by name needs no clock, and a day of peace makes it trusted.
            #expect(try await Self.remove("m", ada).outcome == .removed)
            gateway.jobs.advance(seconds: Self.day)
            #expect(try await Self.collect(olga) == [CollectedBlob(digest: .of("loose"), size: 5)])
        }
    }

    @Test func aWorkersUploadHasItsGraceAndThenItsJob() async throws {
        try await GatewayFixture.run(Self.policy()) { gateway in
            let ada = try gateway.user("ada")
            let olga = try gateway.user("olga")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            try await gateway.put("slow", worker)
            // Asked for again, it has another week.
            for _ in 0..<3 {
                gateway.jobs.advance(seconds: 6 * Self.day)
                let missing = try await worker.call(
                    QatMethods.findMissing,
                    FindMissingRequest(digests: [.of("slow")])
                )
                #expect(missing.digests.isEmpty)
                #expect(try await Self.collect(olga).isEmpty)
            }
            let done = try await worker.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    outputs: [OutputFile(name: "model", digest: .of("slow"), size: 4)],
                    bootID: "b1"
                )
            )
            #expect(done.accepted)
            gateway.jobs.advance(seconds: 365 * Self.day)
            #expect(try await Self.collect(olga).isEmpty)
            #expect(try await gateway.get(.of("slow"), ada) == "slow")
        }
    }

    /// Seen: users were told where on the server a damaged file lies.
    @Test func whereTheGatewaysFilesLieIsToldToOperatorsOnly() async throws {
        try await GatewayFixture.run(Self.policy()) { gateway in
            for (name, mayKnow) in [("ada", false), ("olga", true)] {
                let user = try gateway.user(name)
                try await gateway.submit(user, key: name)
                try Data([0]).write(to: URL(fileURLWithPath: gateway.artifacts.path(.of("m"))))
                let error = await #expect(throws: RPCError.self) {
                    _ = try await gateway.get(.of("m"), user)
                }
                #expect(error?.code == .dataLoss)
                #expect(error?.message.contains("is set aside in") == true)
                #expect(error?.message.contains(gateway.artifacts.root) == mayKnow)
                #expect(error?.message.contains("cas/damaged/") == true)
            }
        }
    }

    @Test func readingAllFindsDamagedAndMissingArtifactsWithTheirJobs() async throws {
        try await GatewayFixture.run(Self.policy()) { gateway in
            let ada = try gateway.user("ada")
            let olga = try gateway.user("olga")
            func verify(_ client: RPCClient) async throws -> [VerifyArtifactsReport] {
                var reports: [VerifyArtifactsReport] = []
                try await client.stream(
                    QatMethods.verifyArtifacts,
                    VerifyArtifactsRequest()
                ) { reports.append($0) }
                return reports
            }
            let first = try await gateway.submit(ada)
            let second = try await gateway.submit(ada, key: "k2", text: "other")
            for text in ["loose", "whole"] { try await gateway.put(text, ada) }
            #expect(await code { _ = try await verify(ada) } == .permissionDenied)
            let clean = try #require(try await verify(olga).last)
            #expect(clean.checked == 4 && clean.bytes == 16 && clean.faults == 0)
            // Bytes that change behind the gateway's back, by chance of the same length; and a file
            // that somebody took away.
            for text in ["m", "loose"] {
                try Data(repeating: 0, count: text.utf8.count)
                    .write(to: URL(fileURLWithPath: gateway.artifacts.path(.of(text))))
            }
            try gateway.artifacts.remove(.of("other"))
            for round in 0..<2 {
                let reports = try await verify(olga)
                let faults = reports.compactMap(\.fault)
                let byDigest = Dictionary(uniqueKeysWithValues: faults.map { ($0.digest, $0) })
                // What was set aside is missing from then on, if a job refers to it.
                #expect(faults.count == (round == 0 ? 3 : 2))
                #expect(byDigest[.of("m")]?.jobIDs == [first])
                #expect(byDigest[.of("m")]?.missing == (round == 1))
                #expect(byDigest[.of("other")]?.jobIDs == [second])
                #expect(byDigest[.of("other")]?.missing == true)
                #expect(byDigest[.of("loose")]?.jobs == (round == 0 ? 0 : nil))
                #expect(reports.last?.faults == UInt64(faults.count))
            }
            #expect(await code { _ = try await gateway.get(.of("m"), ada) } == .notFound)
            for text in ["m", "other"] { try await gateway.put(text, ada) }
            #expect(try await verify(olga).last?.faults == 0)
        }
    }
}
