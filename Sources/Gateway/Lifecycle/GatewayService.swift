internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol
internal import ServiceKit
internal import ServiceLifecycle
internal import UnixSignals

/// Wires the gateway: database, artifacts, handlers, server.
struct GatewayService: Sendable {
    let configuration: DaemonConfiguration
    /// How long a lease lasts without a heartbeat.
    let leaseDuration: Duration
    /// The policy file; the state folder's policy.json without one.
    var policyPath: String?
    /// How long what is over is kept.
    var retention = RetentionPolicy()
    /// How it speaks HTTP; nil if it does not.
    var http: HTTPSettings?

    func run() async throws {
        let logger = configuration.makeLogger("qat-gateway")
        let certificate = try configuration.checkedCertificate()
        let folder = try StateFolder(path: configuration.stateFolder)
        folder.removeAddress()
        try GatewayRestore.requireWhole(folder.path)
        let pool = try GatewayDatabase.open(
            path: folder.path + "/gateway.sqlite",
            artifactFolder: folder.path + "/cas"
        )
        let policies = try PolicyFile(
            path: policyPath ?? folder.path + "/policy.json",
            isRequired: policyPath != nil
        )
        let store = SQLiteJobStore(pool: pool)
        let artifacts = try await Self.artifacts(of: store, in: folder.path)
        let engine = JobEngine(
            store: store,
            leaseDuration: leaseDuration,
            policies: policies,
            artifactObstacle: { artifacts.obstacle },
            report: { logger.error("\($0)") }
        )
        let logs = try jobLogs(in: folder)
        let authority = Authority(policies: policies, audit: AuditLog(logger))
        try await engine.start()
        let api = GatewayAPI(
            engine: engine,
            artifacts: artifacts,
            logs: logs,
            authority: authority,
            certificateEnds: certificate.endsUnixMs,
            retention: retention,
            clock: SteadyClock(lastKnown: try await engine.lastKnown())
        )
        policies.whenChanged { api.serving.review() }
        logger.info("version \(SuiteVersion.current), state in \(folder.path)")
        let group = ServiceGroup(
            configuration: .init(
                services: try services(api, policies, folder, logger),
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        let end = await Swift.Result.of { try await group.run() }
        do {
            try await engine.rememberWorkers()
            try engine.store.close()
        } catch {
            logger.warning("closing the database: \(StoreError.sentence(of: error))")
        }
        try end.get()
    }

    /// What runs side by side; the last is stopped first.
    private func services(
        _ api: GatewayAPI,
        _ policies: PolicyFile,
        _ folder: StateFolder,
        _ logger: Logger
    ) throws -> [ServiceGroupConfiguration.ServiceConfiguration] {
        let server = server(api, logger)
        return [
            .init(
                service: LeaseSweeper(engine: api.engine, policies: policies, logger: logger)
            ),
            .init(service: RetentionSweeper(sweep: api.sweep, clock: api.clock, logger: logger)),
            .init(service: ServingSweeper(models: api.models, logger: logger)),
            .init(service: CertificateWatch(configuration: configuration, logger: logger)),
            .init(service: RPCServerService(server: server, folder: folder) { api.drain() }),
            // Over HTTP answers end while replicas still hear the gateway.
        ] + (try front(of: api, logger))
    }

    /// The way in over HTTP, if there is to be one.
    private func front(
        of api: GatewayAPI,
        _ logger: Logger
    ) throws -> [ServiceGroupConfiguration.ServiceConfiguration] {
        guard let http else { return [] }
        let front = try HTTPFront(
            settings: http,
            api: api,
            serving: api.models,
            logger: logger
        )
        return [.init(service: front)]
    }

    private func server(_ api: GatewayAPI, _ logger: Logger) -> RPCServer {
        RPCServer(
            configuration: RPCServerConfiguration(
                host: configuration.listen.host,
                port: configuration.listen.port,
                tls: configuration.tls
            ),
            router: RPCAdapter(api: api).router,
            logger: logger
        )
    }

    /// The artifacts that a state folder holds, if they are the database's.
    private static func artifacts(
        of store: SQLiteJobStore,
        in folder: String
    ) async throws -> ArtifactStore {
        let root = folder + "/cas"
        let known = try await store.artifactStore()
        var expected = ArtifactPresence.Expected(database: folder + "/gateway.sqlite", known: known)
        let sample = ArtifactPresence.Expected.sample
        expected.named = try await store.referenced(after: nil, limit: sample)
        if expected.named.isEmpty {
            // What users brought, and no job has used yet.
            expected.named = try await store.grants(
                GrantExpiry(before: .max),
                after: nil,
                limit: sample
            ).map(\.digest)
        }
        try ArtifactPresence.check(root: root, expected)
        let artifacts = try ArtifactStore(root: root)
        try await store.setArtifactStore(artifacts.id)
        ArtifactPresence.settle(root: root, known: known)
        return artifacts
    }

    private func jobLogs(in folder: StateFolder) throws -> JobLogStore {
        try JobLogStore(
            folder: folder.path + "/logs",
            byteLimit: UInt64(clamping: retention.jobLogBytes),
            // Room for what comes until the next round removes the oldest.
            totalLimit: UInt64(clamping: retention.logBytes) / 4 * 5
        )
    }
}

extension Swift.Result where Failure == any Error, Success: Sendable {
    fileprivate static func of(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
