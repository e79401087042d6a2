internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Removing jobs that are over, over real connections.
struct JobRemovalTests {
    private static let day: Int64 = 86_400

    private static func remove(_ id: String, _ client: RPCClient) async throws {
        _ = try await client.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
    }

    /// Runs a job to its end with one output, which the worker brings.
    private static func finish(
        _ gateway: GatewayFixture,
        _ worker: RPCClient,
        _ text: String
    ) async throws {
        let lease = try await gateway.lease(worker, "quant-1")
        try await gateway.put(text, worker)
        let done = try await worker.call(
            QatMethods.completeLease,
            CompleteLeaseRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                outputs: [
                    OutputFile(name: "model", digest: .of(text), size: UInt64(text.utf8.count))
                ],
                bootID: "b1"
            )
        )
        #expect(done.accepted)
    }

    @Test func aJobThatIsNotOverIsRefusedByItsState() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            for state in ["QUEUED", "STARTING"] {
                let error = await #expect(throws: RPCError.self) { try await Self.remove(id, ada) }
                #expect(error?.code == .failedPrecondition)
                #expect(error?.message.contains(state) == true, "\(error?.message ?? "")")
                if state == "QUEUED" { _ = try await gateway.lease(worker, "quant-1") }
            }
        }
    }

    @Test func whatGoesWithAJobIsFreeAndItsKeyStaysTaken() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            try await Self.finish(gateway, worker, "out")
            #expect(await code { try await Self.remove(id, eve) } == .notFound)
            let before = try await gateway.jobs.engine.store.byteCount(of: "user/ada")
            let gone = try await ada.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
            // The output of three bytes; the upload of one has its time of grace.
            #expect(gone.freedBytes == 3 && before == 4)
            #expect(try await gateway.jobs.engine.store.byteCount(of: "user/ada") == 1)
            #expect(gateway.artifacts.missing([.of("out"), .of("m")]) == [.of("out")])
            #expect(
                await code { _ = try await ada.call(QatMethods.getJob, GetJobRequest(jobID: id)) }
                    == .notFound
            )
            #expect(await code { try await Self.remove(id, ada) } == .notFound)
            // The same submission again is no second run.
            let again = await #expect(throws: RPCError.self) { try await gateway.submit(ada) }
            #expect(again?.code == .alreadyExists && again?.message.contains(id) == true)
            #expect(try await gateway.submit(ada, key: "another", uploads: false) != id)
        }
    }

    @Test func aJobStaysWhileAnotherNeedsIt() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let first = try await gateway.submit(ada)
            let second = try await gateway.submit(
                ada,
                key: "k2",
                source: "job:\(first)",
                uploads: false
            )
            try await Self.finish(gateway, worker, "out")
            // The second one is queued now, its inputs are known; the first one stays all the same.
            let error = await #expect(throws: RPCError.self) { try await Self.remove(first, ada) }
            #expect(error?.code == .failedPrecondition)
            #expect(error?.message.contains(second) == true, "\(error?.message ?? "")")
            let lease = try await gateway.lease(worker, "quant-1")
            #expect(lease.jobID == second)
            let failed = try await worker.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: second,
                    epoch: lease.epoch,
                    outcome: .failed,
                    reason: "USER_ERROR",
                    bootID: "b1"
                )
            )
            #expect(failed.accepted)
            // A failed job keeps what it needs to be retried, whatever becomes of what made it.
            try await Self.remove(first, ada)
            _ = try await ada.call(QatMethods.retryJob, RetryJobRequest(jobID: second))
            let retried = try await gateway.lease(worker, "quant-1")
            #expect(retried.inputs.flatMap(\.files).map(\.digest) == [.of("out")])
            #expect(try await gateway.get(.of("out"), worker) == "out")
        }
    }

    /// A job that merely starts after another one needs it, too; and it is no reason to stay once it is
    /// over.
    @Test func aJobStaysWhileAnotherIsToStartAfterIt() async throws {
        let fixture = try StoreFixture()
        let first = try await fixture.submit("first")
        var submission = try fixture.submission("second")
        submission.after = [first]
        let second = try await fixture.engine.submit(submission).id
        try await fixture.register()
        let lease = try #require(try await fixture.acquire())
        #expect(try await fixture.complete(lease))
        #expect(try await fixture.state(second) == "QUEUED")
        let error = await #expect(throws: StoreError.self) {
            try await fixture.engine.remove(first)
        }
        #expect(error?.code == .invalidState && error?.message.contains(second) == true)
        try await fixture.engine.cancel(second, now: true, by: "ada")
        _ = try await fixture.engine.remove(first)
        _ = try await fixture.engine.remove(second)
        #expect(try await fixture.engine.list(pageSize: 9, before: nil).jobs.isEmpty)
    }

    @Test func aJobWhoseSourceNeverCameAndIsGoneFailsWhenItIsRetried() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let first = try await gateway.submit(ada)
            let second = try await gateway.submit(
                ada,
                key: "k2",
                source: "job:\(first)",
                uploads: false
            )
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: first))
            try await Self.remove(first, ada)
            let job = try await ada.call(QatMethods.retryJob, RetryJobRequest(jobID: second))
            #expect(job.state == "FAILED" && job.reason == "ARTIFACT_MISSING")
            #expect(job.reasonMessage.contains("removed"))
            // Asked again under its key, it is the same job still.
            let again = try await gateway.submit(
                ada,
                key: "k2",
                source: "job:\(first)",
                uploads: false
            )
            #expect(again == second)
        }
    }

    /// A worker that lost its lease long ago learns that it did, not that something is wrong.
    @Test func aLeaseOnAJobThatIsGoneIsLost() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            gateway.jobs.advance(seconds: 31)
            _ = try await gateway.jobs.engine.recoverExpired()
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
            try await Self.remove(id, ada)
            let beat = try await worker.call(
                QatMethods.heartbeat,
                HeartbeatRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    instance: "quant-1",
                    bootID: "b1"
                )
            )
            #expect(beat.directive == .lost)
            let done = try await worker.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(jobID: id, epoch: lease.epoch, bootID: "b1")
            )
            #expect(!done.accepted)
        }
    }
}
