internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Certificates decide: over real connections, with certificates of one authority.
struct AuthorityTests {
    private static func job(_ id: String) -> GetJobRequest { GetJobRequest(jobID: id) }

    /// Seen: health was told to callers whom no line allows it.
    @Test func everyMethodNeedsALine() async throws {
        func ask(_ client: RPCClient) async throws {
            _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
        }
        try await GatewayFixture.run { gateway in
            let gatewayItself = try gateway.client(
                .service(role: "gateway", instance: "gateway-1")
            )
            for client in [
                try gateway.user("ada"), try gateway.client(.service(role: "quant", instance: "q")),
                gatewayItself,
            ] {
                #expect(await code { try await ask(client) } == nil)
            }
            var policy = AccessPolicy()
            policy.methods["user"] = ["qat.v1.Jobs/*"]
            policy.methods["quant"] = ["qat.v1.Lease/*"]
            policy.methods["gateway"] = []
            gateway.jobs.engine.policies.put(policy)
            for client in [
                try gateway.user("ada"), try gateway.client(.service(role: "quant", instance: "q")),
                gatewayItself,
            ] {
                #expect(await code { try await ask(client) } == .permissionDenied)
            }
            let eval = try gateway.client(.service(role: "eval", instance: "e"))
            #expect(await code { try await ask(eval) } == nil)
        }
    }

    /// Seen to work: any worker's certificate could end any job, with outputs of any name.
    @Test func anotherWorkersCertificateEndsNoJob() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let owner = try await gateway.worker(.quant, "quant-1")
            let thief = try await gateway.worker(.eval, "eval-9")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(owner, "quant-1")
            let before = try await ada.call(QatMethods.getJob, Self.job(id))
            for outputs in [
                [OutputFile(name: "../../x", digest: SHA256Digest.of("m"), size: 1)],
                [OutputFile(name: "model/m", digest: SHA256Digest.of("m"), size: 1)], [],
            ] {
                for boot in ["b1", ""] {
                    let answer = try await thief.call(
                        QatMethods.completeLease,
                        CompleteLeaseRequest(
                            jobID: id,
                            epoch: lease.epoch,
                            outcome: .succeeded,
                            resultsJSON: Array(#"{"qat_perplexity": 1}"#.utf8),
                            outputs: outputs,
                            bootID: boot
                        )
                    )
                    #expect(!answer.accepted)
                }
            }
            #expect(
                await code {
                    _ = try await thief.call(
                        QatMethods.heartbeat,
                        HeartbeatRequest(
                            jobID: id,
                            epoch: lease.epoch,
                            instance: "quant-1",
                            bootID: "b1"
                        )
                    )
                } == .permissionDenied
            )
            let stolen = try await thief.call(
                QatMethods.heartbeat,
                HeartbeatRequest(jobID: id, epoch: lease.epoch, instance: "eval-9", bootID: "b1")
            )
            #expect(stolen.directive == .lost)
            #expect(
                await code {
                    _ = try await thief.call(
                        QatMethods.appendLog,
                        AppendLogRequest(
                            jobID: id,
                            epoch: lease.epoch,
                            data: [65],
                            bootID: "b1"
                        )
                    )
                } == .failedPrecondition
            )
            // Nothing happened, and the audit log says who tried.
            #expect(try await ada.call(QatMethods.getJob, Self.job(id)) == before)
            let denials = gateway.denials.filter { $0.contains("eval/eval-9") }
            #expect(denials.count == 9, "\(denials)")
            #expect(denials.allSatisfy { $0.contains(id) || $0.contains("quant-1") })
            // The holder's own claim is good, and its names are checked.
            #expect(
                await code {
                    _ = try await owner.call(
                        QatMethods.completeLease,
                        CompleteLeaseRequest(
                            jobID: id,
                            epoch: lease.epoch,
                            outputs: [
                                OutputFile(name: "../../x", digest: SHA256Digest.of("m"), size: 1)
                            ],
                            bootID: "b1"
                        )
                    )
                } == .invalidArgument
            )
            try await gateway.put("out", owner)
            let done = try await owner.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: id,
                    epoch: lease.epoch,
                    outputs: [OutputFile(name: "model/m", digest: SHA256Digest.of("out"), size: 3)],
                    bootID: "b1"
                )
            )
            #expect(done.accepted)
            // Outputs are open to the job's owner, without being uploaded again.
            #expect(try await gateway.get(SHA256Digest.of("out"), ada) == "out")
        }
    }

    @Test func aRoleRegistersForItsOwnKindsOnly() async throws {
        try await GatewayFixture.run { gateway in
            let client = try gateway.client(.service(role: "eval", instance: "eval-1"))
            for (role, instance, kinds) in [
                (Role.eval, "eval-1", [Kind.train]), (.eval, "eval-1", [.evaluate, .quantize]),
                (.train, "eval-1", [.train]), (.eval, "eval-2", [.evaluate]),
            ] {
                #expect(
                    await code {
                        try await gateway.register(client, role, instance, kinds: kinds)
                    } == .permissionDenied
                )
            }
            #expect(gateway.denials.count == 4)
            try await gateway.register(client, .eval, "eval-1")
        }
    }

    /// Seen: a worker that said `cuda` was taken for a CPU, and leased a job that asks for one.
    @Test func aWorkerComputesWithWhatIsKnown() async throws {
        try await GatewayFixture.run { gateway in
            let client = try gateway.client(.service(role: "quant", instance: "quant-1"))
            func register(_ accelerator: String) async throws {
                try await gateway.register(client, .quant, "quant-1", accelerator: accelerator)
            }
            // `auto` is what a job may ask for, and nothing that computes.
            for word in ["cuda", "CPU", "auto", "cpu\n"] {
                #expect(await code { try await register(word) } == .permissionDenied, "\(word)")
            }
            #expect(gateway.denials.count == 4)
            #expect(gateway.denials.first?.contains("cuda is none of cpu, gpu") == true)
            // Left out, it is a processor.
            for word in ["gpu", "cpu", ""] { try await register(word) }
        }
    }

    /// Seen: a second traind under the same certificate turned a progressing job into CRASH_LOOP
    /// within 20 s.
    @Test func aSecondProcessUnderOneCertificateIsRefusedWhileTheFirstLives() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let first = try await gateway.worker(.quant, "quant-1", boot: "first")
            let id = try await gateway.submit(ada)
            let lease = try await gateway.lease(first, "quant-1", boot: "first")
            let second = try gateway.client(.service(role: "quant", instance: "quant-1"))
            for _ in 0..<5 {
                let error = await #expect(throws: RPCError.self) {
                    try await gateway.register(second, .quant, "quant-1", boot: "second")
                }
                #expect(error?.code == .alreadyExists)
                // The sentence names both.
                let message = error?.message ?? ""
                #expect(message.contains("process first") && message.contains("process second"))
            }
            func beat() async throws -> HeartbeatResponse.Directive {
                try await first.call(
                    QatMethods.heartbeat,
                    HeartbeatRequest(
                        jobID: id,
                        epoch: lease.epoch,
                        instance: "quant-1",
                        bootID: "first"
                    )
                ).directive
            }
            #expect(try await beat() == .continue)
            #expect(gateway.denials.contains { $0.contains("quant/quant-1 is at work already") })
            // The first ends: its connection closes, and after a lease's time the second takes over.
            await first.close()
            gateway.jobs.advance(seconds: 31)
            var isRegistered = false
            for _ in 0..<100 where !isRegistered {
                isRegistered =
                    await code {
                        try await gateway.register(second, .quant, "quant-1", boot: "second")
                    } == nil
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(isRegistered)
            #expect(try await gateway.lease(second, "quant-1", boot: "second").jobID == id)
        }
    }

    /// Seen to work: one user read, cancelled and retried another's job.
    @Test func usersSeeAndActOnTheirOwnJobs() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let id = try await gateway.submit(ada)
            let calls: [(RPCClient) async throws -> Void] = [
                { _ = try await $0.call(QatMethods.getJob, Self.job(id)) },
                { _ = try await $0.call(QatMethods.cancelJob, CancelJobRequest(jobID: id)) },
                { _ = try await $0.call(QatMethods.pauseJob, PauseJobRequest(jobID: id)) },
                { _ = try await $0.call(QatMethods.resumeJob, ResumeJobRequest(jobID: id)) },
                { _ = try await $0.call(QatMethods.retryJob, RetryJobRequest(jobID: id)) },
                {
                    try await $0.stream(QatMethods.watchJob, WatchJobRequest(jobID: id)) { _ in }
                },
                { try await $0.stream(QatMethods.jobLogs, JobLogsRequest(jobID: id)) { _ in } },
                // Nor does another's job become an input.
                { try await gateway.submit($0, key: "x", source: "job:\(id)") },
            ]
            for call in calls {
                #expect(await code { try await call(eve) } == .notFound)
            }
            #expect(gateway.denials.count == calls.count)
            #expect(try await eve.call(QatMethods.listJobs, ListJobsRequest()).jobs.isEmpty)
            #expect(try await eve.call(QatMethods.status, StatusRequest()).jobs.isEmpty)
            let seen = try await ada.call(QatMethods.listJobs, ListJobsRequest()).jobs
            #expect(seen.map(\.jobID) == [id] && seen.map(\.state) == ["QUEUED"])
            #expect(seen.map(\.owner) == ["ada"])
            // What does not exist is answered alike.
            #expect(
                await code { _ = try await eve.call(QatMethods.getJob, Self.job("nobody")) }
                    == .notFound
            )
        }
    }

    @Test func operatorsActOnEverythingAndTheBigRoomSeesEverything() async throws {
        var policy = AccessPolicy()
        policy.operators = ["root"]
        policy.visibility = .all
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let root = try gateway.user("root")
            let id = try await gateway.submit(ada)
            _ = try await eve.call(QatMethods.getJob, Self.job(id))
            #expect(try await eve.call(QatMethods.listJobs, ListJobsRequest()).jobs.count == 1)
            #expect(
                await code {
                    _ = try await eve.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
                } == .permissionDenied
            )
            let cancelled = try await root.call(
                QatMethods.cancelJob,
                CancelJobRequest(jobID: id)
            )
            #expect(cancelled.state == "CANCELLED" && cancelled.reasonMessage.contains("root"))
        }
    }

    @Test func whatNoLineOfThePolicyAllowsIsDenied() async throws {
        var policy = AccessPolicy()
        policy.methods["user"] = ["qat.v1.Jobs/List"]
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            _ = try await ada.call(QatMethods.listJobs, ListJobsRequest())
            #expect(
                await code { _ = try await ada.call(QatMethods.status, StatusRequest()) }
                    == .permissionDenied
            )
            #expect(await code { try await gateway.put("m", ada) } == .permissionDenied)
        }
    }

    @Test func aDigestAloneOpensNothing() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let digest = try await gateway.put("secret", ada)
            #expect(try await gateway.get(digest, ada) == "secret")
            #expect(await code { _ = try await gateway.get(digest, eve) } == .notFound)
            // It is as if it were not there: neither found nor taken as an input.
            let missing = try await eve.call(
                QatMethods.findMissing,
                FindMissingRequest(digests: [digest])
            )
            #expect(missing.digests == [digest])
            #expect(
                await code { try await gateway.submit(eve, text: "secret", uploads: false) }
                    == .failedPrecondition
            )
            // Naming it with other bytes opens nothing either.
            let forged = await code {
                var left = [Array("guess!".utf8)]
                _ = try await eve.upload(
                    QatMethods.putBlob,
                    PutBlobRequest(digest: digest, size: 6),
                    size: 6,
                    digest: digest,
                    nextChunk: { left.popLast() }
                )
            }
            #expect(forged == .dataLoss)
            #expect(await code { _ = try await gateway.get(digest, eve) } == .notFound)
            // Workers see the inputs of the jobs that they hold, and bring nothing without one.
            let worker = try await gateway.worker(.quant, "quant-1")
            #expect(await code { _ = try await gateway.get(digest, worker) } == .notFound)
            #expect(await code { try await gateway.put("x", worker) } == .permissionDenied)
            try await gateway.submit(ada, text: "secret")
            _ = try await gateway.lease(worker, "quant-1")
            #expect(try await gateway.get(digest, worker) == "secret")
            // Who has the bytes may have them: an upload proves it.
            try await gateway.put("secret", eve)
            #expect(try await gateway.get(digest, eve) == "secret")
        }
    }

    /// A worker cannot open somebody's artifact to its job's owner by calling it an output.
    @Test func outputsAreWhatTheWorkerBrought() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            try await gateway.put("secret", ada)
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(eve)
            let lease = try await gateway.lease(worker, "quant-1")
            let refused = await code {
                _ = try await worker.call(
                    QatMethods.completeLease,
                    CompleteLeaseRequest(
                        jobID: id,
                        epoch: lease.epoch,
                        outputs: [
                            OutputFile(name: "x", digest: SHA256Digest.of("secret"), size: 6)
                        ],
                        bootID: "b1"
                    )
                )
            }
            #expect(refused == .failedPrecondition)
        }
    }

    @Test func quotasHoldByUser() async throws {
        var policy = AccessPolicy()
        policy.quota = AccessPolicy.Quota(queued: 2, running: 1, bytes: 10)
        policy.userQuotas["bob"] = AccessPolicy.Quota()
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            let bob = try gateway.user("bob")
            for index in 0..<2 {
                try await gateway.submit(ada, key: "\(index)")
            }
            #expect(await code { try await gateway.submit(ada, key: "2") } == .resourceExhausted)
            // A repeat of what was taken is no new job.
            try await gateway.submit(ada, key: "1")
            #expect(await code { try await gateway.put("0123456789", ada) } == .resourceExhausted)
            for index in 0..<5 {
                try await gateway.submit(bob, key: "\(index)")
            }
            let first = try await gateway.worker(.quant, "quant-1")
            let second = try await gateway.worker(.quant, "quant-2")
            let one = try await gateway.lease(first, "quant-1")
            let two = try await gateway.lease(second, "quant-2")
            // Ada runs one already: Bob's is next, though Ada's second was there before.
            let owners = try await [one, two].asyncMap {
                try await gateway.jobs.engine.store.job($0.jobID).owner
            }
            #expect(owners == ["ada", "bob"])
            let waiting = try await ada.call(QatMethods.listJobs, ListJobsRequest()).jobs
            #expect(
                waiting.first?.waitReason
                    == "waits for ada's running job to end (quota: 1)"
            )
        }
    }

    @Test func anotherTrustDomainIsRefused() async throws {
        try await GatewayFixture.run { gateway in
            let files = try gateway.stranger()
            let client = try gateway.client(files)
            let error = await #expect(throws: RPCError.self) {
                _ = try await client.call(QatMethods.listJobs, ListJobsRequest())
            }
            #expect(error?.message.contains("trust domain") == true, "\(error?.message ?? "")")
        }
    }

    /// The schema says of `from_seq`: first sequence number wanted, 0 and 1 mean all.
    @Test func watchBeginsWithTheNumberThatIsAskedFor() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let id = try await gateway.submit(ada)
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
            for (from, expected) in [
                (0, [1, 2, 3]), (1, [1, 2, 3]), (2, [2, 3]), (3, [3]),
            ] as [(UInt64, [UInt64])] {
                var numbers: [UInt64] = []
                let request = WatchJobRequest(jobID: id, fromSeq: from)
                try await ada.stream(QatMethods.watchJob, request) { numbers.append($0.seq) }
                #expect(numbers == expected)
            }
        }
    }
}

extension Array {
    func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result]
    {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
