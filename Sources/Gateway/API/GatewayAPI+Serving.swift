internal import Jobs
internal import Protocol
internal import Serving

// Served models: what users ask of them, and what replicas take and tell.
extension GatewayAPI {
    /// Served models for those who may use them.
    var models: ModelRouter {
        ModelRouter(engine: engine, authority: authority, registry: serving)
    }

    /// Answers of a model, as they are written.
    func generate(
        _ request: GenerateRequest,
        by principal: Principal
    ) async throws -> AsyncThrowingStream<TextAnswer, any Error> {
        guard let content = request.request else {
            throw StoreError(.invalidArgument, "the call asks for nothing")
        }
        return try await models.answers(to: content, model: request.model, for: principal)
    }

    /// Models that a user may use.
    func listModels(
        _ request: ListModelsRequest,
        by principal: Principal
    ) async throws -> ListModelsResponse {
        ListModelsResponse(models: try await models.models(for: principal))
    }

    /// Orders for a replica, as long as it holds its job's lease when it begins.
    func takeRequests(
        _ request: TakeRequestsRequest,
        by principal: Principal
    ) async throws -> AsyncStream<ReplicaOrder> {
        let caller = Caller(principal, .takeRequests)
        let claim = LeaseClaim(
            epoch: Int64(clamping: request.epoch),
            holder: try authority.holder(
                boot: request.bootID,
                instance: request.instance,
                caller
            )
        )
        guard try await engine.holds(request.jobID, claim) else {
            throw authority.denied(
                caller,
                "holds no lease of epoch \(request.epoch) on job \(PlainText.quoted(request.jobID))"
            )
        }
        let stored = try await engine.store.job(request.jobID)
        guard stored.job.kind == .serve,
            let name = try await ModelRouter.name(of: stored, in: engine.store)
        else {
            throw StoreError(
                .invalidState,
                "job \(request.jobID) is of kind \(stored.job.kind.rawValue) and serves nothing"
            )
        }
        authority.audit.allow(caller, "job \(request.jobID) serves \(PlainText.quoted(name))")
        return serving.connect(
            job: request.jobID,
            ServingTable.Service(owner: stored.owner, name: name),
            claim,
            ReplicaCapacity(slots: Int(request.slots), length: Int(request.length)),
            created: engine.now.unix / 1000
        )
    }

    /// Takes what a replica tells.
    func tellAnswers(
        _ request: TellAnswersRequest,
        by principal: Principal
    ) async throws -> TellAnswersResponse {
        let caller = Caller(principal, .tellAnswers)
        let claim = LeaseClaim(
            epoch: Int64(clamping: request.epoch),
            holder: try authority.holder(boot: request.bootID, caller)
        )
        return TellAnswersResponse(
            accepted: serving.hear(request.jobID, claim, request.answers, request.report)
        )
    }
}
