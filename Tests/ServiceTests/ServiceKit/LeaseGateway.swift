internal import ArgumentParser
internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol
internal import Synchronization
internal import TestProgram

@testable internal import ServiceKit
@testable internal import qat_client

/// The half of a gateway that workers see, on loopback: it takes blobs, checkpoints and ends, and says
/// what the test wants it to say.
final class LeaseGateway: Sendable {
    struct State {
        var blobs: [SHA256Digest: [UInt8]] = [:]
        var heartbeats = 0
        /// The events of each heartbeat that was taken.
        var news: [[JobEvent]] = []
        /// Why news are refused, by what they are; heartbeats without any are taken.
        var refusal: (@Sendable ([JobEvent]) -> RPCError?)?
        /// What is said of a blob that is not there.
        var loss: RPCError?
        var log: [UInt8] = []
        var checkpoints: [Checkpoint] = []
        var ends: [CompleteLeaseRequest] = []
        var directive = HeartbeatResponse.Directive.continue
        /// The order that who waits for another one has, as it says.
        var known: HeartbeatResponse.Directive?
        /// Whether calls that are answered with orders say that they can be told to pause.
        var knowPause: [Bool] = []
        /// Ends of earlier attempts.
        var endsBefore = 0
        /// Whether the worker of the current one was told that the lease is gone.
        var hasToldOfEnd = false
        /// Whether it answers nothing but that it is away, and how often it did.
        var isAway = false
        /// Whether blobs find no room.
        var isFull = false
        /// Whether uploads that have begun go on; and how many began.
        var holdsUploads = false
        var uploads = 0
        /// Why checkpoints are refused.
        var checkpointRefusal: RPCError?
        var refusals = 0
        /// What a worker that waits for a job says, and what is said of the files that it keeps.
        var waits: [AcquireLeaseRequest] = []
        var review = ReviewKeptResponse()

        /// A lease whose end was taken is gone.
        func directive(of job: String) -> HeartbeatResponse.Directive {
            ends.dropFirst(endsBefore).contains { $0.jobID == job } ? .lost : directive
        }
    }

    let state = Mutex(State())
    let folder: TemporaryHome
    /// What the attempts' logs warn of.
    let warnings = WarningRecorder()

    init() throws {
        folder = try TemporaryHome()
        try CertificateAuthority.createAuthority(in: folder.home.path, trustDomain: "test")
    }

    /// Runs an attempt whose compute child is a shell script; what the script prints are its events.
    ///
    /// `checkpoint`: What the lease says an earlier attempt came to. `heartbeat`: The interval.
    func run(
        _ script: String,
        job: String = "job-1",
        checkpoint: Checkpoint? = nil,
        inputs: [Input] = [],
        heartbeat: Duration = .seconds(5),
        spec: String = "{}",
        gatewayLimit: Duration = .seconds(45),
        room: DiskRoom? = nil,
        cache: String? = nil,
        cancelledWhen: (@Sendable (State) -> Bool)? = nil
    ) async throws -> AttemptRunner.End {
        state.withLock { state in
            state.endsBefore = state.ends.count
            state.hasToldOfEnd = false
        }
        let executable = folder.home.path + "/child-" + UUID().uuidString
        try TestProgram.install(script: "read request\n\(script)", at: executable)
        return try await serve { client in
            let logger = Logger(label: "test") { _ in self.warnings }
            let link = GatewayLink(client: client, logger: logger)
            let root = self.folder.home.path
            let cache = cache ?? root + "/cache"
            try FileManager.default.createDirectory(
                atPath: cache,
                withIntermediateDirectories: true
            )
            let runner = AttemptRunner(
                lease: Lease(
                    jobID: job,
                    kind: "train",
                    attempt: 1,
                    epoch: 1,
                    specJSON: Array(spec.utf8),
                    inputs: inputs,
                    checkpoint: checkpoint
                ),
                worker: WorkerProcess(instance: "train-1", bootID: "b"),
                heartbeatInterval: heartbeat,
                jobFolder: root + "/" + job,
                inputs: InputStore(cacheFolder: cache, link: link),
                room: room ?? DiskRoom(path: root),
                publisher: OutputPublisher(link: link),
                link: link,
                executable: executable,
                threads: 1,
                stallLimit: .seconds(60),
                gatewayLimit: gatewayLimit,
                logger: logger
            )
            let attempt = Task { await runner.run() }
            if let cancelledWhen {
                while !self.state.withLock({ cancelledWhen($0) }) {
                    try await Task.sleep(for: .milliseconds(10))
                }
                attempt.cancel()
            }
            return await attempt.value
        }
    }

    /// Runs a worker's loop, which gets no job, until the test has seen enough.
    func idle(
        room: DiskRoom,
        folder path: String? = nil,
        until isEnough: @escaping @Sendable (State) -> Bool
    ) async throws {
        let folder = try StateFolder(path: path ?? self.folder.home.path + "/state")
        try folder.writeAddress("127.0.0.1:1")
        let options = try DaemonOptions.parse([
            "--gateway", "127.0.0.1:1", "--state", folder.path, "--cert", "none", "--key", "none",
            "--ca", "none",
        ])
        let configuration = try DaemonConfiguration(
            options: options,
            environment: [:],
            defaults: .init(role: .train, listen: "127.0.0.1:0"),
            isTerminal: false
        )
        try await serve { client in
            let loop = LeaseLoop(
                configuration: configuration,
                client: client,
                folder: folder,
                offer: Offer(kinds: configuration.role.kinds),
                certificateEnds: 0,
                room: room,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            let running = Task { try await loop.run() }
            while !self.state.withLock({ isEnough($0) }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            running.cancel()
            try await running.value
        }
    }

    private func serve<Result: Sendable>(
        _ body: @escaping @Sendable (RPCClient) async throws -> Result
    ) async throws -> Result {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = RPCServer(
            configuration: RPCServerConfiguration(
                host: "127.0.0.1",
                port: 0,
                tls: try issue("gateway", "g")
            ),
            router: router(),
            logger: logger
        )
        let tls = try issue("train", "train-1")
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { group.cancelAll() }
            let client = RPCClient(
                configuration: RPCClientConfiguration(
                    address: try await server.boundAddress(),
                    tls: tls,
                    expectedServerRole: "gateway"
                ),
                logger: logger
            )
            let result = try await body(client)
            await client.close()
            return result
        }
    }

    private func issue(_ role: String, _ instance: String) throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            subject: .service(role: role, instance: instance),
            hosts: ["127.0.0.1"],
            authorityFolder: folder.home.path,
            folder: folder.home.path,
            name: role + UUID().uuidString
        )
    }

    /// Fails while it is away.
    private func answer() throws {
        let isAway = state.withLock { state in
            state.refusals += state.isAway ? 1 : 0
            return state.isAway
        }
        if isAway { throw RPCError(.unavailable, "the gateway is away", processed: .no) }
    }

    private func router() -> RPCRouter {
        var router = RPCRouter()
        router.unary(QatMethods.registerWorker, allow: .workers) { _, _ in
            RegisterWorkerResponse(leaseSeconds: 30, heartbeatSeconds: 5)
        }
        router.unary(QatMethods.acquireLease, allow: .workers) { [self] request, _ in
            state.withLock { $0.waits.append(request) }
            try await Task.sleep(for: .milliseconds(10))
            return AcquireLeaseResponse()
        }
        router.unary(QatMethods.reviewKept, allow: .workers) { [self] _, _ in
            state.withLock { $0.review }
        }
        router.unary(QatMethods.heartbeat, allow: .workers) { [self] request, _ in
            try answer()
            if let error = state.withLock({ $0.refusal })?(request.events) { throw error }
            return state.withLock { state in
                state.heartbeats += 1
                state.knowPause.append(request.knowsPause)
                state.news.append(request.events)
                return HeartbeatResponse(directive: state.directive(of: request.jobID))
            }
        }
        router.unary(QatMethods.awaitDirective, allow: .workers) { [self] request, _ in
            state.withLock { state in
                state.known = request.known
                state.knowPause.append(request.knowsPause)
            }
            while state.withLock({ $0.directive(of: request.jobID) }) == request.known {
                try await Task.sleep(for: .milliseconds(10))
            }
            return state.withLock { state in
                state.hasToldOfEnd = state.ends.count > state.endsBefore
                return HeartbeatResponse(directive: state.directive(of: request.jobID))
            }
        }
        router.unary(QatMethods.appendLog, allow: .workers) { [self] request, _ in
            state.withLock { $0.log += request.data }
            return AppendLogResponse(nextOffset: request.offset + UInt64(request.data.count))
        }
        router.unary(QatMethods.saveCheckpoint, allow: .workers) { [self] request, _ in
            try answer()
            if let refusal = state.withLock({ $0.checkpointRefusal }) { throw refusal }
            state.withLock { $0.checkpoints += [request.checkpoint].compactMap { $0 } }
            return SaveCheckpointResponse(accepted: true)
        }
        router.unary(QatMethods.completeLease, allow: .workers) { [self] request, _ in
            try answer()
            state.withLock { $0.ends.append(request) }
            // As the gateway does: who waits for directives hears of the commit before this is answered.
            for _ in 0..<100 where !state.withLock({ $0.hasToldOfEnd }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            return CompleteLeaseResponse(accepted: true)
        }
        router.unary(QatMethods.findMissing, allow: .workers) { [self] request, _ in
            try answer()
            let stored = state.withLock { Set($0.blobs.keys) }
            return FindMissingResponse(digests: request.digests.filter { !stored.contains($0) })
        }
        router.blobUpload(QatMethods.putBlob, allow: .workers) { [self] request, blob, _ in
            try answer()
            let isFull = state.withLock { state in
                state.refusals += state.isFull ? 1 : 0
                return state.isFull
            }
            if isFull { throw RPCError(.unavailable, "it does not fit", processed: .no) }
            state.withLock { $0.uploads += 1 }
            while state.withLock({ $0.holdsUploads }) {
                try await Task.sleep(for: .milliseconds(10))
            }
            var bytes: [UInt8] = []
            for try await piece in blob { bytes += piece }
            state.withLock { [bytes] in $0.blobs[request.digest] = bytes }
            return PutBlobResponse(size: UInt64(bytes.count))
        }
        router.blobDownload(QatMethods.getBlob, allow: .workers) { [self] request, _, writer in
            guard let bytes = state.withLock({ $0.blobs[request.digest] }) else {
                if let loss = state.withLock({ $0.loss }) { throw loss }
                // A blob that never comes, for attempts that are ended while they fetch.
                try await Task.sleep(for: .seconds(3600))
                return
            }
            try writer.begin(digest: request.digest, size: UInt64(bytes.count))
            try await writer.write(bytes)
        }
        return router
    }
}
