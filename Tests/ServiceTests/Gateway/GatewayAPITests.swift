internal import Foundation
internal import Jobs
internal import Testing

@testable internal import Gateway
@testable internal import Protocol

/// What the ways into the gateway have in common, and what a stopping gateway tells those who wait.
struct GatewayAPITests {
    private static func api() throws -> GatewayAPI {
        let jobs = try StoreFixture()
        let audit = AuditLog { _ in }
        return GatewayAPI(
            engine: jobs.engine,
            artifacts: try ArtifactStore(root: jobs.folder + "/cas"),
            logs: try JobLogStore(folder: jobs.folder + "/logs"),
            authority: Authority(policies: PolicyFile(AccessPolicy()), audit: audit)
        )
    }

    /// The policy speaks of what the wire offers, no more and no less.
    @Test func everyMethodIsAnOperationOfThePolicy() throws {
        let routed = Set(RPCAdapter(api: try Self.api()).router.routes.keys)
        #expect(routed == Set(Operation.allCases.map(\.rawValue)))
    }

    @Test(.timeLimit(.minutes(5)))
    func whoWaitsForAJobHearsAtOnceThatTheGatewayStops() async throws {
        try await GatewayFixture.run { fixture in
            let worker = try await fixture.worker(.train, "train-1")
            let request = AcquireLeaseRequest(instance: "train-1", bootID: "b1", waitSeconds: 30)
            async let lease = worker.call(
                QatMethods.acquireLease,
                request,
                timeout: .seconds(60)
            )
            while fixture.jobs.engine.hub.subscriberCount(JobEngine.queueTopic) == 0 {
                try await Task.sleep(for: .milliseconds(5))
            }
            let start = ContinuousClock.now
            fixture.jobs.engine.hub.close()
            #expect(try await lease.lease == nil)
            // Half of what the call would have waited for.
            #expect(ContinuousClock.now - start < .seconds(15))
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func watchersAreToldToComeAgain() async throws {
        try await GatewayFixture.run { fixture in
            let ada = try fixture.user("ada")
            let id = try await fixture.submit(ada)
            fixture.jobs.engine.hub.close()
            let error = await #expect(throws: RPCError.self) {
                try await ada.stream(QatMethods.watchJob, WatchJobRequest(jobID: id)) { _ in }
            }
            #expect(error?.code == .unavailable)
        }
    }

    /// Seen: every call of Health/Check was a write and two flushes of the disk.
    @Test func theDiskIsLookedAtOnceHoweverOftenHealthIsAsked() async {
        let monitor = HealthMonitor()
        let probe = Probe()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    _ = await monitor.health { try await probe.run() }
                }
            }
        }
        // A second passes on a machine that is busy; two do not.
        #expect((1...2).contains(await probe.count))
    }

    /// A full disk is no fault of the request: workers wait, and lose nothing.
    @Test(arguments: [
        NSError(domain: NSPOSIXErrorDomain, code: Int(ENOSPC)),
        NSError(domain: NSPOSIXErrorDomain, code: Int(EDQUOT)),
        NSError(domain: NSCocoaErrorDomain, code: 640),
    ])
    func aFullDiskIsWorthTryingLater(error: NSError) throws {
        #expect(try #require(StoreError(error)).rpcError.code == .unavailable)
    }
}

/// Counts how often the disk is looked at.
private actor Probe {
    private(set) var count = 0

    func run() async throws {
        count += 1
        try await Task.sleep(for: .milliseconds(20))
    }
}
