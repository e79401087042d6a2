internal import Foundation
internal import Logging
internal import Protocol
internal import Synchronization
@testable internal import qat_client

/// A gateway on loopback that stores blobs and plays back events, for tests of the client.
final class ScriptedGateway: Sendable {
    struct State {
        var blobs: [SHA256Digest: [UInt8]] = [:]
        var uploads: [SHA256Digest] = []
        var submissions: [SubmitJobRequest] = []
        var watches: [WatchJobRequest] = []
        var logReads: [JobLogsRequest] = []
        var submitError: RPCError?
        /// What the next submissions are refused with before that, the first one first.
        var submitErrors: [RPCError] = []
        /// What the next uploads are refused with, the first one first.
        var uploadErrors: [RPCError] = []
        /// The last event that was sent of each job.
        var lastEvents: [String: JobEvent] = [:]
        /// The time, which goes by as tests say.
        var time = Duration.zero
        /// Until when nobody answers.
        var awayUntil = Duration.zero
        /// Bytes of blobs that were downloaded.
        var sentByteCount = 0
        /// What a job and a pipeline are told to be, from call to call; the last one stays.
        var details: [JobDetail] = []
        var pipelineDetails: [PipelineDetail] = []
        /// Questions after a job or a pipeline.
        var asks = 0
    }

    /// What one call of Watch or Logs sends before it ends or fails.
    ///
    /// A job has one after the other, its events under its own id, unless they are of several jobs, of which
    /// each has its own; of Logs, an event is a line of two bytes.
    struct Playback {
        var events: [JobEvent]
        var error: RPCError?
        /// Waits for what has to happen before an event is sent.
        var before: @Sendable (JobEvent) async throws -> Void = { _ in }
        /// How long it takes.
        var lasts = Duration.zero
        /// How long the gateway is gone after it.
        var outage = Duration.zero
    }

    static let loss = RPCError(.unavailable, "the connection was lost")

    let state = Mutex(State())
    private let playbacks: [Playback]
    /// What lists show, one job a page.
    private let jobs: [JobSummary]
    /// Those of a list's jobs; each is sent with every job of it.
    private let pipelines: [PipelineSummary]
    private let folder: TemporaryHome

    init(
        playbacks: [Playback] = [],
        jobs: [JobSummary] = [],
        pipelines: [PipelineSummary] = []
    ) throws {
        self.playbacks = playbacks
        self.jobs = jobs
        self.pipelines = pipelines
        folder = try TemporaryHome()
        try CertificateAuthority.createAuthority(in: folder.home.path, trustDomain: "test")
    }

    /// Patience by the time of ``State/time``.
    var patience: Patience {
        Patience(
            now: { [self] in state.withLock { $0.time } },
            sleep: { [self] duration in state.withLock { $0.time += duration } }
        )
    }

    /// Runs `body` with a client of this gateway while it serves.
    func serve<Result: Sendable>(
        attempts: Int = 1,
        _ body: @Sendable (RPCClient) async throws -> Result
    ) async throws -> Result {
        let server = RPCServer(
            configuration: RPCServerConfiguration(
                host: "127.0.0.1",
                port: 0,
                tls: try issue(.service(role: "gateway", instance: "g"), name: "gateway")
            ),
            router: router(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let user = try issue(.user(name: "ada"), name: "user")
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { group.cancelAll() }
            let profile = Profile(
                gateway: try await server.boundAddress().description,
                certificatePath: user.certificatePath,
                privateKeyPath: user.privateKeyPath,
                trustRootsPath: user.trustRootsPath
            )
            return try await GatewayConnection.with(profile, attempts: attempts, body)
        }
    }

    private func issue(
        _ subject: PeerIdentity.Subject,
        name: String
    ) throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            subject: subject,
            hosts: ["127.0.0.1"],
            authorityFolder: folder.home.path,
            folder: folder.home.path,
            name: name + UUIDv7.now().description
        )
    }

    /// The first of some answers; the last one stays.
    private static func next<Answer>(_ answers: inout [Answer]) -> Answer? {
        answers.count > 1 ? answers.removeFirst() : answers.first
    }

    private func router() -> RPCRouter {
        var router = RPCRouter()
        router.unary(QatMethods.findMissing, allow: .users) { [self] request, _ in
            let stored = state.withLock { Set($0.blobs.keys) }
            return FindMissingResponse(digests: request.digests.filter { !stored.contains($0) })
        }
        router.blobUpload(QatMethods.putBlob, allow: .users) { [self] request, blob, _ in
            var bytes: [UInt8] = []
            for try await piece in blob {
                bytes += piece
            }
            let error = state.withLock {
                $0.uploadErrors.isEmpty ? nil : $0.uploadErrors.removeFirst()
            }
            if let error { throw error }
            state.withLock { [bytes] in
                $0.blobs[request.digest] = bytes
                $0.uploads.append(request.digest)
            }
            return PutBlobResponse(size: UInt64(bytes.count))
        }
        router.blobDownload(QatMethods.getBlob, allow: .users) { [self] request, _, writer in
            guard let bytes = state.withLock({ $0.blobs[request.digest] }) else {
                throw RPCError(.notFound, "no such blob")
            }
            guard request.offset <= UInt64(bytes.count) else {
                throw RPCError(.invalidArgument, "beyond the end")
            }
            let asked = bytes.dropFirst(Int(request.offset))
            try writer.begin(
                digest: request.digest,
                size: UInt64(bytes.count),
                offset: request.offset
            )
            try await writer.write(Array(asked))
            state.withLock { $0.sentByteCount += asked.count }
        }
        router.unary(QatMethods.submitJob, allow: .users) { [self] request, _ in
            let error = state.withLock { state in
                state.submissions.append(request)
                return state.submitErrors.isEmpty
                    ? state.submitError : state.submitErrors.removeFirst()
            }
            if let error {
                throw error
            }
            return SubmitJobResponse(jobID: "job-1", created: true)
        }
        router.unary(QatMethods.listJobs, allow: .users) { [self] request, _ in
            let index = Int(request.pageToken) ?? 0
            let next = index + 1 < jobs.count ? "\(index + 1)" : ""
            let page = jobs.isEmpty ? [] : [jobs[index]]
            return ListJobsResponse(
                jobs: page,
                nextPageToken: next,
                pipelines: pipelines.filter { $0.pipelineID == page.first?.pipelineID }
            )
        }
        addJobs(to: &router)
        return router
    }

    private func addJobs(to router: inout RPCRouter) {
        router.serverStream(QatMethods.watchJob, allow: .users) { [self] request, _, writer in
            let index = state.withLock { state in
                state.watches.append(request)
                return state.watches.count { $0.jobID == request.jobID } - 1
            }
            try await play(index, of: request.jobID) { try await writer.write($0) }
        }
        router.serverStream(QatMethods.jobLogs, allow: .users) { [self] request, _, writer in
            let index = state.withLock { state in
                state.logReads.append(request)
                return state.logReads.count - 1
            }
            try await play(index, of: request.jobID) { event in
                let line = Array("\(event.seq)\n".utf8)
                try await writer.write(LogChunk(offset: (event.seq - 1) * 2, data: line))
            }
        }
        router.unary(QatMethods.getJob, allow: .users) { [self] request, _ in
            try answer()
            return state.withLock { state in
                state.asks += 1
                if let detail = Self.next(&state.details) { return detail }
                let last = state.lastEvents[request.jobID]
                var job = JobDetail(
                    summary: JobSummary(jobID: request.jobID, state: last?.state ?? "RUNNING")
                )
                job.lastSeq = last?.seq ?? 1
                return job
            }
        }
        router.unary(QatMethods.getPipeline, allow: .users) { [self] request, _ in
            try answer()
            return state.withLock { state in
                state.asks += 1
                return Self.next(&state.pipelineDetails)
                    ?? PipelineDetail(
                        summary: PipelineSummary(pipelineID: request.pipelineID),
                        jobs: jobs.filter { $0.pipelineID == request.pipelineID }
                    )
            }
        }
    }

    /// Fails while the gateway is away.
    private func answer() throws {
        try state.withLock { if $0.time < $0.awayUntil { throw Self.loss } }
    }

    private func play(
        _ index: Int,
        of jobID: String,
        _ write: (JobEvent) async throws -> Void
    ) async throws {
        try answer()
        // Of several jobs each has its own.
        let own = playbacks.first { $0.events.first?.jobID == jobID }
        let playback =
            Set(playbacks.compactMap(\.events.first?.jobID)).count > 1
            ? own ?? playbacks[0] : playbacks[min(index, playbacks.count - 1)]
        for event in playback.events {
            var event = event
            event.jobID = jobID
            try await playback.before(event)
            state.withLock { [event] in $0.lastEvents[jobID] = event }
            try await write(event)
        }
        state.withLock {
            $0.time += playback.lasts
            $0.awayUntil = max($0.awayUntil, $0.time + playback.outage)
        }
        if let error = playback.error {
            throw error
        }
    }
}
