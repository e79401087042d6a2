internal import Foundation
internal import GRDB
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

/// A job engine on a real SQLite file with clocks that stand until they are moved.
final class StoreFixture: Sendable {
    let folder: String
    let engine: JobEngine
    private let clock = VirtualClock()
    private let told = Mutex<[String]>([])

    /// What engines that were opened again say is wrong with the store.
    var remarks: [String] { told.withLock { $0 } }

    init(limits: JobLimits = JobLimits(), policy: AccessPolicy = AccessPolicy()) throws {
        folder = NSTemporaryDirectory() + "/qat-store-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        engine = try Self.open(folder, clock, limits, policy)
    }

    deinit {
        try? engine.store.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func open(
        _ folder: String,
        _ clock: VirtualClock,
        _ limits: JobLimits,
        _ policy: AccessPolicy,
        _ report: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> JobEngine {
        JobEngine(
            store: SQLiteJobStore(pool: try GatewayDatabase.open(path: folder + "/gateway.sqlite")),
            leaseDuration: .seconds(30),
            limits: limits,
            policies: PolicyFile(policy),
            // As if a mount were gone: see ArtifactPresenceTests.
            artifactObstacle: {
                FileManager.default.fileExists(atPath: folder + "/cas.away") ? "are away" : nil
            },
            clock: { clock.now },
            report: report
        )
    }

    /// A second store on the same file, as a gateway has after a restart.
    func reopened() throws -> JobEngine {
        try Self.open(folder, clock, engine.limits, engine.policies.policy) {
            [weak self] sentence in
            self?.told.withLock { $0.append(sentence) }
        }
    }

    /// Runs SQL behind the engine's back.
    func execute(_ sql: String) async throws {
        let store = try #require(engine.store as? SQLiteJobStore)
        try await store.pool.write { try $0.execute(sql: sql) }
    }

    func setWallClock(bySeconds seconds: Int64) { clock.jump(milliseconds: seconds * 1000) }

    func advance(seconds: Int64) { clock.advance(milliseconds: seconds * 1000) }

    /// Sets the wall clock ahead; no time passes.
    func jump(seconds: Int64) { clock.jump(milliseconds: seconds * 1000) }

    /// A pipeline of two jobs, a and b, neither of which waits for the other.
    func pipeline(_ key: String) throws -> JobEngine.PipelineSubmission {
        JobEngine.PipelineSubmission(
            owner: "ada",
            key: key,
            digest: .of(key),
            name: key,
            parts: try ["a", "b"].map {
                JobEngine.PipelineSubmission.Part(
                    name: $0,
                    job: try submission(""),
                    outputs: ["model"]
                )
            }
        )
    }

    func submission(
        _ key: String,
        kind: String = "train",
        model: String = "m.gguf",
        owner: String = "ada"
    ) throws -> JobEngine.Submission {
        let spec: String =
            kind == "quantize"
            ? #"{"model":"\#(model)","quantization":{"algorithm":"mxfp4"}}"#
            : #"{"model":"\#(model)","quantization":{"algorithm":"mxfp4"},"trainer":{"max_steps":1000},"#
                + #""data":{"train":["t.txt"],"validation":["v.txt"],"seq_length":16}}"#
        let parsed = try ParsedJob(kind: kind, json: Array(spec.utf8))
        let canonical = parsed.document.canonicalBytes
        var hasher = SHA256Hasher()
        hasher.update(canonical)
        let file = InputFile(path: "m.gguf", digest: SHA256Digest.of("m"), size: 1)
        let source = Input(
            pointer: "/model",
            source: model,
            files: model.hasPrefix("job:") ? [] : [file]
        )
        return JobEngine.Submission(
            owner: owner,
            key: key,
            digest: hasher.finalize(),
            kind: try #require(Kind(rawValue: kind)),
            name: key,
            spec: canonical,
            resources: parsed.spec.resources,
            inputs: [source]
        )
    }

    @discardableResult
    func submit(
        _ key: String,
        kind: String = "train",
        model: String = "m.gguf",
        owner: String = "ada"
    ) async throws -> String {
        try await engine.submit(submission(key, kind: kind, model: model, owner: owner)).id
    }

    static func holder(_ instance: String, boot: String, role: Role = .train) -> LeaseHolder {
        LeaseHolder(worker: WorkerIdentity(role: role, instance: instance), boot: boot)
    }

    /// `stateID`: The process's state folder; by default that of the instance's earlier ones.
    func register(
        _ instance: String? = nil,
        boot: String = "b1",
        offer: Offer = Offer(kinds: [.train]),
        stateID: String? = nil,
        memory: Int64 = 1 << 30,
        engine: JobEngine? = nil
    ) async throws {
        let role = try #require(offer.kinds.first).role
        let engine = engine ?? self.engine
        try await engine.register(
            Worker(
                identity: WorkerIdentity(role: role, instance: instance ?? "\(role)-1"),
                boot: boot,
                address: "127.0.0.1:1",
                offer: offer,
                cores: 2,
                memory: memory,
                version: "0",
                registered: engine.now.unix,
                stateID: stateID ?? "folder of \(instance ?? "\(role)-1")"
            )
        )
    }

    func acquire(
        _ instance: String? = nil,
        boot: String = "b1",
        role: Role = .train
    ) async throws -> Lease? {
        try await engine.acquire(Self.holder(instance ?? "\(role)-1", boot: boot, role: role))
    }

    func heartbeat(
        _ lease: Lease,
        instance: String? = nil,
        boot: String = "b1",
        steps: ClosedRange<UInt64>? = nil
    ) async throws -> HeartbeatResponse.Directive {
        let events = (steps.map(Array.init) ?? []).map { step in
            JobEvent(
                jobID: lease.jobID,
                type: .progress,
                progress: JobProgress(step: step, totalSteps: 9, phase: "train")
            )
        }
        return try await heartbeat(lease, instance: instance, boot: boot, events: events)
    }

    func heartbeat(
        _ lease: Lease,
        instance: String? = nil,
        boot: String = "b1",
        events: [JobEvent]
    ) async throws -> HeartbeatResponse.Directive {
        try await engine.heartbeat(
            lease.jobID,
            LeaseClaim(epoch: Int64(lease.epoch), holder: holder(of: lease, instance, boot)),
            events
        )
    }

    /// The worker of a lease's role.
    private func holder(of lease: Lease, _ instance: String?, _ boot: String) -> LeaseHolder {
        let role = Kind(rawValue: lease.kind)?.role ?? .train
        return Self.holder(instance ?? "\(role)-1", boot: boot, role: role)
    }

    func complete(
        _ lease: Lease,
        _ outcome: CompleteLeaseRequest.Outcome = .succeeded,
        reason: String = "",
        instance: String? = nil,
        boot: String = "b1"
    ) async throws -> Bool {
        try await engine.complete(
            CompleteLeaseRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                outcome: outcome,
                reason: reason,
                message: "said so",
                resultsJSON: Array("{}".utf8),
                outputs: [
                    OutputFile(
                        name: "model/model.safetensors",
                        digest: SHA256Digest.of("out"),
                        size: 3
                    )
                ]
            ),
            by: holder(of: lease, instance, boot)
        ) == .accepted
    }

    func state(_ id: String) async throws -> String { try await engine.detail(id).summary.state }

    /// The numbers and states of all events of a job.
    func events(_ id: String) async throws -> [JobEvent] {
        try await engine.events(id, after: 0, limit: 10_000).events
    }
}

extension SHA256Digest {
    static func of(_ text: String) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(Array(text.utf8))
        return hasher.finalize()
    }
}
