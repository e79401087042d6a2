internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Pipelines and schedules over real connections: who may, and what the wire carries.
struct PipelineAPITests {
    private static func job(
        _ source: String = "m.gguf",
        _ change: (inout SubmitJobRequest) -> Void = { _ in }
    ) -> SubmitJobRequest {
        let file = InputFile(path: "m.gguf", digest: SHA256Digest.of("m"), size: 1)
        let spec = #"{"model": "\#(source)", "quantization": {"algorithm": "mxfp4"}}"#
        var request = SubmitJobRequest(
            kind: "quantize",
            specJSON: Array(spec.utf8),
            inputs: [
                Input(
                    pointer: "/model",
                    source: source,
                    files: source.hasPrefix("job:") ? [] : [file]
                )
            ]
        )
        change(&request)
        return request
    }

    private static func pipeline(
        _ key: String = "k",
        _ jobs: [String: SubmitJobRequest] = ["first": job(), "second": job("job:first")]
    ) -> SubmitPipelineRequest {
        SubmitPipelineRequest(
            name: "two",
            key: key,
            jobs: jobs.sorted { $0.key < $1.key }.map { PipelineJob(name: $0.key, job: $0.value) }
        )
    }

    /// Seen: it was taken, and ignored.
    @Test func aJobOfAPipelineHasNoKey() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            try await gateway.put("m", ada)
            let request = Self.pipeline("k", ["first": Self.job { $0.key = "own" }])
            let error = await #expect(throws: RPCError.self) {
                _ = try await ada.call(QatMethods.submitPipeline, request)
            }
            #expect(error?.code == .invalidArgument && error?.message.contains("first") == true)
            #expect(try await ada.call(QatMethods.listJobs, ListJobsRequest()).jobs.isEmpty)
        }
    }

    @Test func aPipelineIsItsOwnersAndNobodyElseSeesIt() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            try await gateway.put("m", ada)
            let made = try await ada.call(QatMethods.submitPipeline, Self.pipeline())
            let id = made.pipelineID
            #expect(made.created && made.jobs.map(\.part) == ["first", "second"])
            let again = try await ada.call(QatMethods.submitPipeline, Self.pipeline())
            #expect(again.pipelineID == id && !again.created)
            let status = try await ada.call(QatMethods.status, StatusRequest())
            #expect(status.pipelines.map(\.pipelineID) == [id])
            for call in [
                {
                    _ = try await eve.call(
                        QatMethods.getPipeline,
                        GetPipelineRequest(pipelineID: id)
                    )
                },
                {
                    _ = try await eve.call(
                        QatMethods.cancelPipeline,
                        CancelPipelineRequest(pipelineID: id)
                    )
                },
                {
                    _ = try await eve.call(
                        QatMethods.retryPipeline,
                        RetryPipelineRequest(pipelineID: id)
                    )
                },
            ] as [@Sendable () async throws -> Void] {
                let error = await #expect(throws: RPCError.self) { try await call() }
                // No word of its jobs, either.
                #expect(error?.code == .notFound && error?.message == "no pipeline \(id)")
            }
            #expect(
                try await eve.call(QatMethods.listJobs, ListJobsRequest()).pipelines.isEmpty
            )
            let ended = try await ada.call(
                QatMethods.cancelPipeline,
                CancelPipelineRequest(pipelineID: id)
            )
            #expect(ended.summary.state == "CANCELLED")
            let retried = try await ada.call(
                QatMethods.retryPipeline,
                RetryPipelineRequest(pipelineID: id)
            )
            #expect(retried.jobs.map(\.state) == ["QUEUED", "BLOCKED"])
        }
    }

    @Test func aFaultNamesTheJobAndStoresNothing() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let bob = try gateway.user("bob")
            let others = try await gateway.submit(bob)
            func refusal(_ job: SubmitJobRequest) async -> RPCError? {
                await #expect(throws: RPCError.self) {
                    let request = Self.pipeline("k", ["good": Self.job(), "bad": job])
                    return try await ada.call(QatMethods.submitPipeline, request)
                }
            }
            // Nothing was uploaded yet.
            let missing = await refusal(Self.job())
            #expect(missing?.code == .failedPrecondition)
            #expect(missing?.message.hasPrefix("job bad: not uploaded yet") == true)
            try await gateway.put("m", ada)
            let cases: [(SubmitJobRequest, RPCError.Code, String)] = [
                (Self.job("job:" + others), .notFound, "job bad: /model: no job \(others)"),
                (Self.job { $0.after = [others] }, .notFound, "job bad: no job \(others)"),
                (Self.job("job:nobody"), .notFound, "job bad: /model: no job nobody"),
                (Self.job("job:good/logits"), .invalidArgument, "makes no logits"),
                (
                    Self.job("job:good/report.json"), .invalidArgument,
                    "job bad: /model: of quantize job good, report.json is a report, no model; expected model"
                ),
                (Self.job { $0.specJSON = Array("{}".utf8) }, .invalidArgument, "job bad: $.model"),
                (Self.job { $0.kind = "pipeline" }, .invalidArgument, "job bad: "),
                (Self.job { $0.priority = 101 }, .invalidArgument, "job bad: priority 101"),
                (
                    Self.job {
                        $0.deadlineMs = 1
                        $0.deadlineUnixMs = 1
                    }, .invalidArgument, "not both"
                ),
                (Self.job { $0.deadlineUnixMs = 1 }, .invalidArgument, "passed already"),
            ]
            for (job, code, message) in cases {
                let error = await refusal(job)
                #expect(error?.code == code, "\(error?.message ?? "")")
                #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
            }
            #expect(try await ada.call(QatMethods.listJobs, ListJobsRequest()).jobs.isEmpty)
        }
    }

    @Test func thePolicySaysHowHighAUserMayGo() async throws {
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        policy.quota.priority = 0
        try await GatewayFixture.run(policy) { gateway in
            let ada = try gateway.user("ada")
            let olga = try gateway.user("olga")
            for client in [ada, olga] { try await gateway.put("m", client) }
            func submit(_ client: RPCClient, _ priority: Int64) async throws -> String {
                var request = Self.job()
                request.key = "\(priority)"
                request.priority = priority
                return try await client.call(QatMethods.submitJob, request).jobID
            }
            #expect(await code { _ = try await submit(ada, 1) } == .resourceExhausted)
            _ = try await submit(ada, -100)
            let id = try await submit(olga, 100)
            let job = try await olga.call(QatMethods.getJob, GetJobRequest(jobID: id))
            #expect(job.summary.priority == 100)
        }
    }

    /// What a key stands for includes when the job is to run.
    @Test func aScheduleIsAPartOfTheSubmission() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            try await gateway.put("m", ada)
            var request = Self.job {
                $0.key = "k"
                $0.deadlineMs = 3_600_000
            }
            let id = try await ada.call(QatMethods.submitJob, request).jobID
            let job = try await ada.call(QatMethods.getJob, GetJobRequest(jobID: id)).summary
            #expect(job.deadlineUnixMs == gateway.jobs.engine.now.unix + 3_600_000)
            gateway.jobs.advance(seconds: 60)
            #expect(try await ada.call(QatMethods.submitJob, request).jobID == id)
            request.deadlineMs = 7_200_000
            #expect(
                await code { _ = try await ada.call(QatMethods.submitJob, request) }
                    == .alreadyExists
            )
        }
    }

    @Test func whatIsReusedIsNamedAndOpenToItsOwner() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let worker = try await gateway.worker(.quant, "quant-1")
            for client in [ada, eve] { try await gateway.put("m", client) }
            func submit(_ client: RPCClient, _ key: String) async throws -> SubmitJobResponse {
                let request = Self.job {
                    $0.key = key
                    $0.reuse = true
                }
                return try await client.call(QatMethods.submitJob, request)
            }
            let first = try await submit(ada, "1")
            #expect(first.reusedFrom.isEmpty)
            let lease = try await gateway.lease(worker, "quant-1")
            let output = try await gateway.put("out", worker)
            let answer = try await worker.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: first.jobID,
                    epoch: lease.epoch,
                    outcome: .succeeded,
                    resultsJSON: Array("{}".utf8),
                    outputs: [OutputFile(name: "model", digest: output, size: 3)],
                    bootID: "b1"
                )
            )
            #expect(answer.accepted)
            let second = try await submit(ada, "2")
            #expect(second.created && second.reusedFrom == first.jobID)
            #expect(
                try await submit(ada, "2")
                    == SubmitJobResponse(
                        jobID: second.jobID,
                        created: false,
                        reusedFrom: first.jobID
                    )
            )
            // Another's job is not there for eve.
            #expect(try await submit(eve, "1").reusedFrom.isEmpty)
        }
    }
}
