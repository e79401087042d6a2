internal import Foundation
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

    func run() async throws {
        let logger = configuration.makeLogger("qat-gateway")
        let folder = try StateFolder(path: configuration.stateFolder)
        try? FileManager.default.removeItem(atPath: folder.path + "/address")
        let pool = try GatewayDatabase.open(path: folder.path + "/gateway.sqlite")
        let engine = JobEngine(
            store: SQLiteJobStore(pool: pool),
            leaseDuration: leaseDuration
        )
        let artifacts = try ArtifactStore(root: folder.path + "/cas")
        let logs = try JobLogStore(folder: folder.path + "/logs")
        try await engine.start()
        let server = RPCServer(
            configuration: RPCServerConfiguration(
                host: configuration.listen.host,
                port: configuration.listen.port,
                tls: configuration.tls
            ),
            router: router(engine, artifacts, logs),
            logger: logger
        )
        logger.info("version \(SuiteVersion.current), state in \(folder.path)")
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: LeaseSweeper(engine: engine, logger: logger)),
                    .init(service: RPCServerService(server: server, folder: folder)),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        try await group.run()
        try engine.store.close()
    }

    private func router(
        _ engine: JobEngine,
        _ artifacts: ArtifactStore,
        _ logs: JobLogStore
    ) -> RPCRouter {
        var router = RPCRouter()
        JobHandlers(engine: engine, artifacts: artifacts, logs: logs).add(to: &router)
        WorkerHandlers(engine: engine, artifacts: artifacts, logs: logs).add(to: &router)
        router.unary(QatMethods.healthCheck, allow: [.users, .services]) { _, _ in
            do {
                // A real write: a full or broken disk is not healthy.
                try await engine.store.probe()
                try artifacts.probe()
                return HealthCheckResponse(status: .serving)
            } catch {
                return HealthCheckResponse(status: .notServing, message: "\(error)")
            }
        }
        return router
    }
}
