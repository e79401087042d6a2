internal import JobSpecs
internal import Jobs
internal import Protocol
internal import Serving

/// Served models for those who may use them: their owners and operators, and everybody who sees all jobs.
struct ModelRouter: ModelServing {
    let engine: JobEngine
    let authority: Authority
    let registry: ServingRegistry

    /// Bytes of a request, below what a message to a replica may have.
    private static let byteLimit = 224 << 10
    /// Jobs that are looked at for a model that has no replica.
    private static let jobLimit = 64

    func models(for principal: Principal) async throws -> [ServedModel] {
        let user = try authority.user(Caller(principal, .listModels))
        let now = ContinuousClock.now
        return registry.look { table in
            table.services.keys.filter { Self.maySee(user, $0) }.sorted().compactMap {
                Self.model($0, table, at: now)
            }
        }
    }

    private static func model(
        _ service: ServingTable.Service,
        _ table: ServingTable,
        at now: ContinuousClock.Instant
    ) -> ServedModel? {
        let replicas = table.replicas.values.filter { $0.service == service }
        guard let newest = replicas.max(by: { $0.session < $1.session }) else { return nil }
        return ServedModel(
            name: service.name,
            job: newest.job,
            owner: service.owner,
            created: table.services[service]?.created ?? 0,
            length: replicas.map(\.length).min() ?? 0,
            readyReplicas: replicas.count { table.isReady($0, at: now) },
            replicas: replicas.count
        )
    }

    func answers(
        to request: TextRequest,
        model: String,
        for principal: Principal
    ) async throws -> AsyncThrowingStream<TextAnswer, any Error> {
        let caller = Caller(principal, .generate)
        let user = try authority.user(caller)
        guard (1...128).contains(request.count) else {
            throw RPCError(
                .invalidArgument,
                "n is \(request.count); expected 1 to 128",
                processed: .no
            )
        }
        let bytes = try Self.byteCount(request)
        let service = try await service(model, for: user)
        return try registry.ask(request, of: service, by: user.name, byteCount: bytes) {
            [authority] in
            guard let user = try? authority.user(caller) else { return false }
            return Self.maySee(user, service)
        }
    }

    func tokens(
        of prompt: TextRequest.Prompt,
        model: String,
        for principal: Principal
    ) async throws -> [Int32] {
        let user = try authority.user(Caller(principal, .generate))
        let request = TextRequest(prompt: prompt)
        let bytes = try Self.byteCount(request)
        let service = try await service(model, for: user)
        return try await registry.tokens(request, of: service, by: user.name, byteCount: bytes)
    }

    func replicas() async -> [ReplicaState] {
        let now = ContinuousClock.now
        return registry.look { table in
            table.replicas.values.sorted { ($0.service, $0.job) < ($1.service, $1.job) }.map {
                ReplicaState(
                    model: $0.service.name,
                    owner: $0.service.owner,
                    job: $0.job,
                    worker: $0.claim.holder.worker.instance,
                    isReady: table.isReady($0, at: now),
                    isDraining: $0.isLeaving,
                    slots: $0.slots,
                    running: $0.requests.count,
                    queued: table.services[$0.service]?.waiting.count ?? 0,
                    load: $0.report.load,
                    probe: $0.report.probe,
                    firstText: $0.firstText
                )
            }
        }
    }

    private static func maySee(_ user: User, _ service: ServingTable.Service) -> Bool {
        user.seesAll || user.name == service.owner
    }

    private static func byteCount(_ request: TextRequest) throws -> Int {
        let count = try request.encoded().count
        guard count <= byteLimit else {
            throw RPCError(
                .invalidArgument,
                "the request has \(count) bytes; the limit is \(byteLimit)",
                processed: .no
            )
        }
        return count
    }

    /// The model that a user means: their own of that name, or the only one of others that they may use, or that
    /// of a serve job.
    private func service(_ name: String, for user: User) async throws -> ServingTable.Service {
        let found = registry.look { table in
            let ofJob = table.replicas[name].map { [$0.service] } ?? []
            return (table.services.keys.filter { $0.name == name } + ofJob).filter {
                Self.maySee(user, $0)
            }
        }
        let own = found.first { $0.owner == user.name }
        guard own != nil || found.count <= 1 else {
            let owners = found.map(\.owner).sorted().joined(separator: ", ")
            throw RPCError(
                .invalidArgument,
                "several users serve a model \(PlainText.quoted(name)): \(owners); name it by its job's id",
                processed: .no
            )
        }
        if let service = own ?? found.first {
            if registry.look({ $0.hasReplica(service) }) { return service }
            // One that was lost comes back, and is waited for; one that has ended does not.
            if try await job(serving: service.name, of: service.owner) != nil { return service }
        }
        let quoted = PlainText.quoted(name)
        guard let stored = try await job(serving: name, of: user.onlyOwner) else {
            throw RPCError(
                .notFound,
                "no model \(quoted) is served; qat-client models lists those that are",
                processed: .no
            )
        }
        throw RPCError(
            .unavailable,
            "model \(quoted) is not ready: its job \(stored.job.id) is \(stored.job.state.rawValue)",
            processed: .no,
            retryAfter: .seconds(5)
        )
    }

    /// Gives up requests that have waited too long, and those for models that are served no more.
    func expire() async throws {
        registry.expire()
        let lost = registry.look { table in
            table.services.filter { !$0.value.waiting.isEmpty && !table.hasReplica($0.key) }.keys
        }
        for service in lost where try await job(serving: service.name, of: service.owner) == nil {
            registry.giveUp(service)
        }
    }

    /// A job that is not over and serves a model of a name, or has that name for its id.
    ///
    /// `owner`: Whose; nil for anybody's.
    private func job(serving name: String, of owner: String?) async throws -> StoredJob? {
        let choice = JobChoice(
            owner: owner,
            states: Set(JobState.living),
            kinds: [.serve]
        )
        for listed in try await engine.store.page(before: nil, limit: Self.jobLimit, of: choice) {
            guard case .job(let stored) = listed else { continue }
            let served = try await Self.name(of: stored, in: engine.store)
            if served == name || stored.job.id == name { return stored }
        }
        return nil
    }

    /// What a serve job's model is named by.
    static func name(of stored: StoredJob, in store: any JobStore) async throws -> String? {
        let document = try await store.document(stored.job.id)
        guard
            case .serve(let spec)? = try? JobSpec.parse(
                kind: Kind.serve.rawValue,
                json: document.spec
            )
        else { return nil }
        return spec.servedName(job: stored.name)
    }
}
