internal import Foundation
internal import GRDB
internal import JobSpecs
internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import Gateway

/// A job store on a real SQLite file with a clock that stands until it is moved.
final class StoreFixture: Sendable {
    let folder: String
    let store: JobStore
    private let clock: Clock

    /// A settable time in Unix milliseconds.
    final class Clock: Sendable {
        private let time = Mutex<Int64>(1_700_000_000_000)

        var now: Int64 { time.withLock { $0 } }

        func advance(seconds: Int64) { time.withLock { $0 += seconds * 1000 } }
    }

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-store-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let clock = Clock()
        self.clock = clock
        store = try Self.open(folder, clock)
    }

    deinit {
        try? store.pool.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func open(_ folder: String, _ clock: Clock) throws -> JobStore {
        JobStore(
            pool: try GatewayDatabase.open(path: folder + "/gateway.sqlite"),
            leaseDuration: .seconds(30),
            clock: { clock.now }
        )
    }

    /// A second store on the same file, as a gateway has after a restart.
    func reopened() throws -> JobStore { try Self.open(folder, clock) }

    func advance(seconds: Int64) { clock.advance(seconds: seconds) }

    func submission(_ key: String, kind: String = "train", model: String = "m.gguf")
        throws -> JobStore.Submission
    {
        let spec: String =
            kind == "quantize"
            ? #"{"model":"\#(model)","quantization":{"algorithm":"mxfp4"}}"#
            : #"{"model":"\#(model)","quantization":{"algorithm":"mxfp4"},"trainer":{"max_steps":9},"#
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
        return JobStore.Submission(
            tenant: "ada",
            key: key,
            digest: hasher.finalize(),
            kind: kind,
            name: key,
            spec: canonical,
            inputs: [source]
        )
    }

    @discardableResult
    func submit(_ key: String, kind: String = "train", model: String = "m.gguf") async throws
        -> String
    {
        try await store.submit(submission(key, kind: kind, model: model)).id
    }

    func register(_ instance: String = "train-1", boot: String = "b1", kind: String = "train")
        async throws
    {
        try await store.register(
            RegisterWorkerRequest(
                role: "train",
                instance: instance,
                bootID: boot,
                address: "127.0.0.1:1",
                kinds: [kind],
                cores: 2,
                memoryBytes: 1 << 30,
                version: "0"
            )
        )
    }

    func acquire(_ instance: String = "train-1", boot: String = "b1") async throws -> Lease? {
        try await store.acquire(instance: instance, boot: boot)
    }

    func heartbeat(
        _ lease: Lease,
        instance: String = "train-1",
        steps: ClosedRange<UInt64>? = nil
    ) async throws -> HeartbeatResponse.Directive {
        let events = (steps.map(Array.init) ?? []).map { step in
            JobEvent(
                jobID: lease.jobID,
                type: .progress,
                progress: JobProgress(step: step, totalSteps: 9, phase: "train")
            )
        }
        return try await store.heartbeat(
            HeartbeatRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                instance: instance,
                events: events
            )
        )
    }

    func complete(
        _ lease: Lease,
        _ outcome: CompleteLeaseRequest.Outcome = .succeeded,
        reason: String = ""
    ) async throws -> Bool {
        try await store.complete(
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
            )
        )
    }

    func state(_ id: String) async throws -> String { try await store.detail(id).summary.state }

    /// The numbers and states of all events of a job.
    func events(_ id: String) async throws -> [JobEvent] {
        try await store.events(id, after: 0, limit: 10_000).events
    }
}

extension SHA256Digest {
    static func of(_ text: String) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(Array(text.utf8))
        return hasher.finalize()
    }
}
