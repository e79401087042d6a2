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
        _ text: String,
        output: String = "model"
    ) async throws {
        let lease = try await gateway.lease(worker, "quant-1")
        try await gateway.put(text, worker)
        let done = try await worker.call(
            QatMethods.completeLease,
            CompleteLeaseRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                outputs: [
                    OutputFile(name: output, digest: .of(text), size: UInt64(text.utf8.count))
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
            // docs/JOBS.md: what somebody brought stays for a week, by the gateway's clock.
            #expect(gone.keptBytes == 1 && gone.keptFor.isEmpty)
            let week = gateway.jobs.engine.now.unix + 7 * Self.day * 1000
            #expect((week - 60_000...week).contains(gone.keptUntilUnixMs))
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

    private static func submitPipeline(_ client: RPCClient, key: String = "p") async throws
        -> SubmitPipelineResponse
    {
        func job(_ source: String) -> SubmitJobRequest {
            let spec = #"{"model": "\#(source)", "quantization": {"algorithm": "mxfp4"}}"#
            let file = InputFile(path: "m.gguf", digest: .of("m"), size: 1)
            let files = source.hasPrefix("job:") ? [] : [file]
            return SubmitJobRequest(
                kind: "quantize",
                specJSON: Array(spec.utf8),
                inputs: [Input(pointer: "/model", source: source, files: files)]
            )
        }
        return try await client.call(
            QatMethods.submitPipeline,
            SubmitPipelineRequest(
                key: key,
                jobs: [
                    PipelineJob(name: "a", job: job("m.gguf")),
                    PipelineJob(name: "b", job: job("job:a")),
                ]
            )
        )
    }

    /// A pipeline goes by its id: whole, or not at all.
    @Test func aPipelineGoesWhole() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let worker = try await gateway.worker(.quant, "quant-1")
            try await gateway.put("m", ada)
            let made = try await Self.submitPipeline(ada)
            let id = made.pipelineID
            try await Self.finish(gateway, worker, "first")
            // One of its jobs is not over, then another job needs one of them.
            var error = await #expect(throws: RPCError.self) { try await Self.remove(id, ada) }
            #expect(error?.code == .failedPrecondition)
            #expect(error?.message.contains("\(made.jobs[1].jobID) is QUEUED") == true)
            try await Self.finish(gateway, worker, "second")
            let needing = try await gateway.submit(
                ada,
                key: "k2",
                source: "job:\(made.jobs[0].jobID)",
                uploads: false
            )
            error = await #expect(throws: RPCError.self) { try await Self.remove(id, ada) }
            #expect(error?.message.contains("needed by job \(needing)") == true)
            let all = try await ada.call(QatMethods.listJobs, ListJobsRequest()).jobs
            #expect(all.count == 3)
            #expect(gateway.artifacts.missing([.of("first"), .of("second")]).isEmpty)
            _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: needing))
            // Others find none, as where there is none.
            for (client, pipeline) in [(eve, id), (ada, "p-0123456789abcdef")] {
                error = await #expect(throws: RPCError.self) {
                    try await Self.remove(pipeline, client)
                }
                #expect(error?.code == .notFound && error?.message == "no pipeline \(pipeline)")
            }
            let gone = try await ada.call(QatMethods.removeJob, RemoveJobRequest(jobID: id))
            // The second's output; the first's is an input of the job that was cancelled.
            #expect(gone.jobID == id && gone.freedBytes == 6)
            #expect(gone.keptFor == needing)
            let kept = gateway.artifacts.size(.of("first")) ?? 0
            #expect(kept == 5 && gone.keptBytes >= kept)
            #expect(gateway.artifacts.missing([.of("first"), .of("second")]) == [.of("second")])
            let left = try await ada.call(QatMethods.listJobs, ListJobsRequest())
            #expect(left.jobs.map(\.jobID) == [needing] && left.pipelines.isEmpty)
            #expect(await code { try await Self.remove(id, ada) } == .notFound)
            // The same submission again is no second run.
            #expect(
                await code { _ = try await Self.submitPipeline(ada) } == .alreadyExists
            )
        }
    }

    /// Seen: Submit answered with the job, SubmitPipeline with an error.
    @Test func aRepeatedSubmissionIsAnsweredWhateverBecameOfItsInputs() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            try await gateway.put("m", ada)
            let made = try await Self.submitPipeline(ada)
            let job = try await gateway.submit(ada, uploads: false)
            for text in ["1", "2", "3"] { try await Self.finish(gateway, worker, text) }
            // Its input is gone: by hand, as after a restoration without it.
            try gateway.artifacts.remove(.of("m"))
            let again = try await Self.submitPipeline(ada)
            #expect(again.pipelineID == made.pipelineID && !again.created)
            #expect(again.jobs.map(\.jobID) == made.jobs.map(\.jobID))
            #expect(try await gateway.submit(ada, uploads: false) == job)
            // Another one under that key is another one, and a new one needs its input.
            #expect(
                await code { _ = try await Self.submitPipeline(ada, key: "p2") }
                    == .failedPrecondition
            )
        }
    }

    /// Seen: a job that named an output which another had ended without was taken, and failed at once.
    @Test func anOutputThatIsNotThereIsRefusedAtSubmit() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let first = try await gateway.submit(ada)
            func submit(_ output: String, key: String = "x") async throws -> String {
                try await gateway.submit(
                    ada,
                    key: key,
                    source: "job:\(first)/\(output)",
                    uploads: false
                )
            }
            // A quantize job makes reports and models, and never logits: known before it ends.
            var error = await #expect(throws: RPCError.self) { _ = try await submit("logits") }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("makes no logits") == true)
            let waiting = try await submit("model", key: "waiting")
            // It ends with a report and no model.
            try await Self.finish(gateway, worker, "out", output: "report.html")
            error = await #expect(throws: RPCError.self) { _ = try await submit("model") }
            #expect(error?.code == .invalidArgument)
            #expect(
                error?.message
                    == "/model: job \(first) has no output model; it has report.html"
            )
            #expect(try await ada.call(QatMethods.listJobs, ListJobsRequest()).jobs.count == 2)
            // What waited for it has failed, and is that job when it is submitted again.
            let failed = try await ada.call(QatMethods.getJob, GetJobRequest(jobID: waiting))
            #expect(failed.summary.reason == "ARTIFACT_MISSING")
            #expect(try await submit("model", key: "waiting") == waiting)
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

    /// Nothing that a job made outlives it, however its end and the openings of its outputs fall into
    /// milliseconds.
    ///
    /// Seen: `jobs rm` freed a report's bytes, and the model stayed for a week.
    @Test func outputsGoWithTheirJob() async throws {
        let fixture = try StoreFixture()
        try await fixture.register()
        let id = try await fixture.submit("k")
        let ticking = JobEngine(
            store: fixture.engine.store,
            leaseDuration: .seconds(30),
            clock: {
                // Every look is later than the one before.
                defer { fixture.advance(seconds: 1) }
                return fixture.engine.now
            }
        )
        try await ticking.start()
        let holder = StoreFixture.holder("train-1", boot: "b1")
        let lease = try #require(try await ticking.acquire(holder))
        let output = OutputFile(name: "model/m", digest: .of("out"), size: 3)
        let verdict = try await ticking.complete(
            CompleteLeaseRequest(
                jobID: id,
                epoch: lease.epoch,
                outcome: .succeeded,
                resultsJSON: Array("{}".utf8),
                outputs: [output]
            ),
            by: holder
        )
        #expect(verdict == .accepted)
        let open = try await fixture.engine.store.granted([output.digest], to: "user/ada")
        #expect(open == [output.digest])
        #expect(try await ticking.remove(id).contains(output.digest))
        #expect(try await fixture.engine.store.granted([output.digest], to: "user/ada").isEmpty)
    }
}
