internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// The suite in figures, out of a real database.
struct GatewayMetricsTests {
    private static func withGateway(_ body: (GatewayAPI) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "/qat-metrics-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var policy = AccessPolicy()
        policy.operators = ["olga"]
        let policies = PolicyFile(policy)
        let engine = JobEngine(
            store: SQLiteJobStore(pool: try GatewayDatabase.open(path: folder + "/gateway.sqlite")),
            leaseDuration: .seconds(30),
            policies: policies
        )
        let api = GatewayAPI(
            engine: engine,
            artifacts: try ArtifactStore(root: folder + "/cas"),
            logs: try JobLogStore(folder: folder + "/logs"),
            authority: Authority(policies: policies, audit: AuditLog { _ in })
        )
        try await body(api)
        try engine.store.close()
    }

    private static func principal(_ name: String) -> Principal {
        Principal(PeerIdentity(trustDomain: "qat.test", subject: .user(name: name)))
    }

    private static func submit(_ key: String, to engine: JobEngine) async throws {
        let spec =
            #"{"model":"m.gguf","quantization":{"algorithm":"mxfp4"},"trainer":{"max_steps":9},"#
            + #""data":{"train":["t.txt"],"validation":["v.txt"],"seq_length":16}}"#
        let parsed = try ParsedJob(kind: "train", json: Array(spec.utf8))
        let file = InputFile(path: "m.gguf", digest: SHA256Digest.digest(of: [0]), size: 1)
        _ = try await engine.submit(
            JobEngine.Submission(
                owner: "ada",
                key: key,
                digest: SHA256Digest.digest(of: Array(key.utf8)),
                kind: .train,
                name: key,
                spec: parsed.document.canonicalBytes,
                resources: parsed.spec.resources,
                inputs: [Input(pointer: "/model", source: "m.gguf", files: [file])]
            )
        )
    }

    /// One of two jobs is leased, and its worker reports.
    private static func work(_ engine: JobEngine) async throws -> String {
        let holder = LeaseHolder(
            worker: WorkerIdentity(role: .train, instance: "train-1"),
            boot: "b1"
        )
        try await engine.register(
            Worker(
                identity: holder.worker,
                boot: "b1",
                address: "127.0.0.1:1",
                offer: Offer(kinds: [.train]),
                cores: 2,
                memory: 1 << 30,
                version: "0",
                registered: engine.now.unix,
                stateID: "folder"
            )
        )
        let lease = try #require(try await engine.acquire(holder))
        let progress = JobProgress(
            step: 3,
            totalSteps: 9,
            loss: 2.5,
            tokensPerSecond: 120,
            phase: "train"
        )
        _ = try await engine.heartbeat(
            lease.jobID,
            LeaseClaim(epoch: Int64(lease.epoch), holder: holder),
            [
                JobEvent(jobID: lease.jobID, seq: 1, type: .progress, progress: progress),
                JobEvent(
                    jobID: lease.jobID,
                    seq: 2,
                    type: .metric,
                    metricsJSON: Array(#"{"mean_absolute_error_max":0.02,"sqnr_db_min":14.5}"#.utf8)
                ),
            ]
        )
        return lease.jobID
    }

    @Test func tellWhatJobsAndWorkersDo() async throws {
        try await Self.withGateway { api in
            try await Self.submit("a", to: api.engine)
            try await Self.submit("b", to: api.engine)
            let job = try await Self.work(api.engine)
            api.engine.figures.called("qat.v1.Jobs/Get", seconds: 0.07)
            let page = try await api.metrics(by: Self.principal("olga"))
            let lines = String(decoding: page.bytes, as: UTF8.self).split(separator: "\n")
            let expected = [
                #"qat_jobs{state="QUEUED"} 1"#, #"qat_jobs{state="RUNNING"} 1"#,
                #"qat_jobs{state="FAILED"} 0"#, "qat_job_wait_seconds_count 1",
                #"qat_job_step{job="\#(job)",kind="train"} 3"#,
                #"qat_job_tokens_per_second{job="\#(job)",kind="train"} 120"#,
                #"qat_job_loss{job="\#(job)",kind="train"} 2.5"#,
                #"qat_job_quantization_error_max{job="\#(job)",kind="train"} 0.02"#,
                #"qat_job_quantization_sqnr_db_min{job="\#(job)",kind="train"} 14.5"#,
                #"qat_rpc_seconds_bucket{method="qat.v1.Jobs/Get",le="0.05"} 0"#,
                #"qat_rpc_seconds_bucket{method="qat.v1.Jobs/Get",le="0.1"} 1"#,
                #"qat_rpc_seconds_bucket{method="qat.v1.Jobs/Get",le="+Inf"} 1"#,
                #"qat_rpc_seconds_sum{method="qat.v1.Jobs/Get"} 0.07"#,
            ]
            for line in expected { #expect(lines.contains(line[...]), "\(line)") }
        }
    }

    /// They tell of everybody's jobs.
    @Test func areForThoseWhoSeeAllJobs() async throws {
        try await Self.withGateway { api in
            let error = await #expect(throws: RPCError.self) {
                _ = try await api.metrics(by: Self.principal("ada"))
            }
            #expect(error?.code == .permissionDenied)
        }
    }

    /// What stores count by themselves is what counting each job gives.
    @Test func countsAreThoseOfTheJobs() async throws {
        try await Self.withGateway { api in
            for key in ["a", "b", "c"] { try await Self.submit(key, to: api.engine) }
            _ = try await Self.work(api.engine)
            let counts = try await api.engine.store.stateCounts()
            let stored = try await api.engine.store.jobs(in: JobState.allCases, after: 0, limit: 9)
            let expected = Dictionary(grouping: stored.jobs, by: \.job.state).mapValues { jobs in
                StateCount(count: jobs.count, oldest: jobs.map(\.job.created).min())
            }
            #expect(counts == expected)
            #expect(counts[.queued]?.count == 2)
        }
    }
}
