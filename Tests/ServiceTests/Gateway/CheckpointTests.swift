internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// A job's checkpoints and its worker's orders, over real connections.
struct CheckpointTests {
    private static func save(
        _ client: RPCClient,
        _ lease: Lease,
        _ instance: String,
        step: UInt64,
        text: String
    ) async throws -> Bool {
        try await client.call(
            QatMethods.saveCheckpoint,
            SaveCheckpointRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                instance: instance,
                bootID: "b1",
                checkpoint: Checkpoint(
                    step: step,
                    files: [
                        OutputFile(
                            name: "state",
                            digest: SHA256Digest.of(text),
                            size: UInt64(text.utf8.count)
                        )
                    ]
                )
            )
        ).accepted
    }

    private static func release(_ client: RPCClient, _ lease: Lease) async throws -> Bool {
        try await client.call(
            QatMethods.completeLease,
            CompleteLeaseRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                outcome: .released,
                message: "worker quant-1 is stopping",
                bootID: "b1"
            )
        ).accepted
    }

    /// A worker hands its lease back; another one goes on from the checkpoint, and may read it.
    @Test func anotherWorkerGoesOnFromTheNewestCheckpoint() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let first = try await gateway.worker(.quant, "quant-1")
            let second = try await gateway.worker(.quant, "quant-2")
            let thief = try await gateway.worker(.eval, "eval-9")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(first, "quant-1")
            #expect(lease.checkpoint == nil)
            // What is not stored is no checkpoint.
            #expect(
                await code {
                    _ = try await Self.save(first, lease, "quant-1", step: 4, text: "four")
                } == .failedPrecondition
            )
            try await gateway.put("four", first)
            #expect(try await Self.save(first, lease, "quant-1", step: 4, text: "four"))
            try await gateway.put("eight", first)
            #expect(try await Self.save(first, lease, "quant-1", step: 8, text: "eight"))
            // An upload that was overtaken changes nothing, nor does another's certificate.
            #expect(try await !Self.save(first, lease, "quant-1", step: 4, text: "four"))
            #expect(try await !Self.save(thief, lease, "eval-9", step: 9, text: "four"))
            #expect(
                await code { _ = try await gateway.get(SHA256Digest.of("eight"), second) }
                    == .notFound
            )
            #expect(try await Self.release(first, lease))
            let next = try await gateway.lease(second, "quant-2")
            #expect(next.jobID == id && next.checkpoint?.step == 8)
            #expect(next.checkpoint?.files.map(\.name) == ["state"])
            #expect(try await gateway.get(SHA256Digest.of("eight"), second) == "eight")
            // Handing back is no loss.
            let job = try await gateway.jobs.engine.store.job(id).job
            #expect(job.losses == 0 && job.attempt == 2)
        }
    }

    /// Seen: a checkpoint whose bytes the gateway's disk lost barred every earlier one for ever.
    @Test func aDamagedCheckpointGivesWayToWhatTheNextAttemptStores() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            try await gateway.submit(ada)
            var lease = try await gateway.lease(worker, "quant-1")
            try await gateway.put("five hundred", worker)
            #expect(try await Self.save(worker, lease, "quant-1", step: 500, text: "five hundred"))
            #expect(try await Self.release(worker, lease))
            let path = gateway.artifacts.path(.of("five hundred"))
            try Data("five hundrex".utf8).write(to: URL(fileURLWithPath: path))
            lease = try await gateway.lease(worker, "quant-1")
            #expect(lease.checkpoint?.step == 500)
            // Damaged first, missing from then on.
            for expected in [RPCError.Code.dataLoss, .notFound] {
                #expect(
                    await code { _ = try await gateway.get(.of("five hundred"), worker) }
                        == expected
                )
            }
            for step in [100, 400] as [UInt64] {
                try await gateway.put("\(step)", worker)
                #expect(
                    try await Self.save(worker, lease, "quant-1", step: step, text: "\(step)")
                )
            }
            #expect(try await Self.release(worker, lease))
            lease = try await gateway.lease(worker, "quant-1")
            #expect(lease.checkpoint?.step == 400)
            #expect(try await gateway.get(.of("400"), worker) == "400")
        }
    }

    /// The room of a checkpoint is free as soon as its job succeeded.
    @Test func aSuccessNeedsNoCheckpoint() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            for text in ["weights", "moments", "out"] { try await gateway.put(text, worker) }
            #expect(try await Self.save(worker, lease, "quant-1", step: 1, text: "weights"))
            #expect(try await Self.save(worker, lease, "quant-1", step: 2, text: "moments"))
            #expect(
                gateway.artifacts.missing([.of("weights"), .of("moments")]) == [.of("weights")]
            )
            let done = try await worker.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    outputs: [OutputFile(name: "model/m", digest: .of("out"), size: 3)],
                    bootID: "b1"
                )
            )
            #expect(done.accepted)
            let stored = try Set(gateway.artifacts.digests())
            #expect(stored == [.of("m"), .of("out")])
        }
    }

    /// cancel --now reaches a worker that waits for its orders at once, not at a heartbeat.
    @Test func ordersArriveBetweenHeartbeats() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(worker, "quant-1")
            func ask(
                _ known: HeartbeatResponse.Directive,
                seconds: UInt32
            ) async throws -> HeartbeatResponse.Directive {
                try await worker.call(
                    QatMethods.awaitDirective,
                    AwaitDirectiveRequest(
                        jobID: id,
                        epoch: lease.epoch,
                        instance: "quant-1",
                        bootID: "b1",
                        known: known,
                        waitSeconds: seconds
                    )
                ).directive
            }
            #expect(try await ask(.continue, seconds: 0) == .continue)
            async let waiting = ask(.continue, seconds: 25)
            try await Task.sleep(for: .milliseconds(100))
            let start = ContinuousClock.now
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
            #expect(try await waiting == .cancel)
            async let firmer = ask(.cancel, seconds: 25)
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id, now: true))
            #expect(try await firmer == .cancelNow)
            // What is not woken waits for all of one of them.
            #expect(ContinuousClock.now - start < .seconds(25))
        }
    }

    /// Seen: a worker's checkpoint of step 2^64 - 1 was taken, after which no other one was newer.
    @Test(arguments: [
        ("train", UInt64(1000), "takes 1000 steps"), ("quantize", 1 << 53, "the limit is"),
    ])
    func aCheckpointBeyondTheJobsStepsIsRefused(
        kind: String,
        last: UInt64,
        sentence: String
    ) async throws {
        let fixture = try StoreFixture()
        let role = try #require(Kind(rawValue: kind)).role
        try await fixture.register(offer: Offer(kinds: role.kinds))
        let id = try await fixture.submit("k", kind: kind)
        let lease = try #require(try await fixture.acquire(role: role))
        let claim = LeaseClaim(
            epoch: Int64(lease.epoch),
            holder: StoreFixture.holder("\(role)-1", boot: "b1", role: role)
        )
        func save(_ step: UInt64) async throws -> Bool {
            let file = OutputFile(name: "state", digest: .of("s"), size: 1)
            let checkpoint = Checkpoint(step: step, files: [file])
            return try await fixture.engine.saveCheckpoint(id, claim, checkpoint) != nil
        }
        for step in [last + 1, last * 2, UInt64(Int64.max), .max] {
            let error = await #expect(throws: StoreError.self) { try await save(step) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("a checkpoint of step \(step)") == true)
            #expect(error?.message.contains(sentence) == true)
        }
        // Nothing of that was kept, and the lease stands.
        #expect(try await save(5))
        #expect(try await save(last))
        #expect(try await fixture.engine.store.job(id).job.checkpointStep == Int64(last))
    }
}
