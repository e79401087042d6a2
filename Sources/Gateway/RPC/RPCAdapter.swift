internal import Protocol

/// The gateway's way in over RPC: certificates become principals, refusals become statuses.
struct RPCAdapter: Sendable {
    let api: GatewayAPI

    /// Every method that the gateway answers.
    var router: RPCRouter {
        var router = RPCRouter()
        let audit = api.authority.audit
        router.onDenial = { peer, method, rule in audit.deny(peer, method: method, rule) }
        addJobs(to: &router)
        addArtifacts(to: &router)
        addLeases(to: &router)
        addServing(to: &router)
        add(QatMethods.healthCheck, .all, to: &router) { try await api.health(by: $1) }
        return router
    }

    private func addJobs(to router: inout RPCRouter) {
        add(QatMethods.submitJob, .users, to: &router) { try await api.submit($0, by: $1) }
        add(QatMethods.getJob, .users, to: &router) { try await api.job($0, by: $1) }
        add(QatMethods.listJobs, .users, to: &router) { try await api.jobs($0, by: $1) }
        add(QatMethods.cancelJob, .users, to: &router) { try await api.cancel($0, by: $1) }
        add(QatMethods.pauseJob, .users, to: &router) { try await api.pause($0, by: $1) }
        add(QatMethods.resumeJob, .users, to: &router) { try await api.resume($0, by: $1) }
        add(QatMethods.retryJob, .users, to: &router) { try await api.retry($0, by: $1) }
        add(QatMethods.removeJob, .users, to: &router) { try await api.remove($0, by: $1) }
        add(QatMethods.submitPipeline, .users, to: &router) { try await api.submit($0, by: $1) }
        add(QatMethods.getPipeline, .users, to: &router) { try await api.pipeline($0, by: $1) }
        add(QatMethods.cancelPipeline, .users, to: &router) { try await api.cancel($0, by: $1) }
        add(QatMethods.pausePipeline, .users, to: &router) { try await api.pause($0, by: $1) }
        add(QatMethods.resumePipeline, .users, to: &router) { try await api.resume($0, by: $1) }
        add(QatMethods.retryPipeline, .users, to: &router) { try await api.retry($0, by: $1) }
        add(QatMethods.status, .users, to: &router) { try await api.status($0, by: $1) }
        stream(QatMethods.watchJob, .users, to: &router) { try await api.events($0, by: $1) }
        stream(QatMethods.jobLogs, .users, to: &router) { try await api.log($0, by: $1) }
    }

    private func addArtifacts(to router: inout RPCRouter) {
        let callers: AccessRule = [.users, .workers]
        add(QatMethods.findMissing, callers, to: &router) {
            try await api.missingBlobs($0, by: $1)
        }
        add(QatMethods.removeBlobs, .users, to: &router) { try await api.removeBlobs($0, by: $1) }
        router.serverStream(QatMethods.collectGarbage, allow: .users) { request, context, writer in
            try await mapped(context) {
                try await api.collectGarbage(request, by: Principal(context)) {
                    try await writer.write($0)
                }
            }
        }
        router.serverStream(QatMethods.verifyArtifacts, allow: .users) { _, context, writer in
            try await mapped(context) {
                try await api.verifyArtifacts(by: Principal(context)) { try await writer.write($0) }
            }
        }
        router.blobUpload(QatMethods.putBlob, allow: callers) { request, blob, context in
            try await mapped(context) {
                guard blob.offset == 0, blob.digest == request.digest, blob.size == request.size
                else {
                    throw StoreError(.invalidArgument, "the blob is not the one announced")
                }
                return try await api.putBlob(request, chunks: blob, by: Principal(context))
            }
        }
        router.blobDownload(QatMethods.getBlob, allow: callers) { request, context, writer in
            try await mapped(context) {
                let blob = try await api.blob(request, by: Principal(context))
                try writer.begin(digest: request.digest, size: blob.size, offset: request.offset)
                try await blob.read { try await writer.write($0) }
            }
        }
    }

    private func addLeases(to router: inout RPCRouter) {
        add(QatMethods.registerWorker, .workers, to: &router) { try await api.register($0, by: $1) }
        add(QatMethods.acquireLease, .workers, to: &router) { try await api.acquire($0, by: $1) }
        add(QatMethods.heartbeat, .workers, to: &router) { try await api.heartbeat($0, by: $1) }
        add(QatMethods.awaitDirective, .workers, to: &router) {
            try await api.awaitDirective($0, by: $1)
        }
        add(QatMethods.saveCheckpoint, .workers, to: &router) {
            try await api.saveCheckpoint($0, by: $1)
        }
        add(QatMethods.appendLog, .workers, to: &router) { try await api.appendLog($0, by: $1) }
        add(QatMethods.completeLease, .workers, to: &router) { try await api.complete($0, by: $1) }
        add(QatMethods.reviewKept, .workers, to: &router) { try await api.review($0, by: $1) }
    }

    private func addServing(to router: inout RPCRouter) {
        stream(QatMethods.generate, .users, to: &router) { try await api.generate($0, by: $1) }
        add(QatMethods.listModels, .users, to: &router) { try await api.listModels($0, by: $1) }
        stream(QatMethods.takeRequests, .workers, to: &router) {
            try await api.takeRequests($0, by: $1)
        }
        add(QatMethods.tellAnswers, .workers, to: &router) { try await api.tellAnswers($0, by: $1) }
    }

    private func add<Request, Response>(
        _ method: UnaryMethod<Request, Response>,
        _ callers: AccessRule,
        to router: inout RPCRouter,
        _ answer: @escaping @Sendable (Request, Principal) async throws -> Response
    ) {
        router.unary(method, allow: callers) { request, context in
            let start = ContinuousClock.now
            defer {
                let time = start.duration(to: .now)
                api.engine.figures.called(method.name, seconds: time / .seconds(1))
            }
            return try await mapped(context) { try await answer(request, Principal(context)) }
        }
    }

    private func stream<Request, Response, Answer>(
        _ method: ServerStreamMethod<Request, Response>,
        _ callers: AccessRule,
        to router: inout RPCRouter,
        _ answer: @escaping @Sendable (Request, Principal) async throws -> Answer
    ) where Answer: AsyncSequence & Sendable, Answer.Element == Response {
        router.serverStream(method, allow: callers) { request, context, writer in
            try await mapped(context) {
                for try await element in try await answer(request, Principal(context)) {
                    try await writer.write(element)
                }
            }
        }
    }

    /// Runs a call; the store's refusals become its status.
    ///
    /// Where the gateway's files lie is told to operators only.
    private func mapped<Result>(
        _ context: CallContext,
        _ work: () async throws -> Result
    ) async throws -> Result {
        do {
            return try await work()
        } catch {
            guard let known = StoreError(error) else { throw error }
            let shown = api.shown(known.message, to: Principal(context))
            throw StoreError(known.code, shown).rpcError(isHandled: true)
        }
    }
}

extension AccessRule {
    fileprivate static let all: AccessRule = [.users, .services]
}

extension Principal {
    /// Who calls, as the certificate says.
    init(_ context: CallContext) {
        self.init(context.peer, isConnected: context.isConnected)
    }
}
