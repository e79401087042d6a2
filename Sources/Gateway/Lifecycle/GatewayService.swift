internal import Foundation
internal import GRDB
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
        let store = JobStore(pool: pool, leaseDuration: leaseDuration)
        let artifacts = try ArtifactStore(root: folder.path + "/cas")
        let logs = try JobLogStore(folder: folder.path + "/logs")
        try await store.extendLeasesAtBoot()
        let server = RPCServer(
            configuration: RPCServerConfiguration(
                host: configuration.listen.host,
                port: configuration.listen.port,
                tls: configuration.tls
            ),
            router: router(store, artifacts, logs),
            logger: logger
        )
        logger.info("version \(SuiteVersion.current), state in \(folder.path)")
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: LeaseSweeper(store: store, logger: logger)),
                    .init(service: RPCServerService(server: server, folder: folder)),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        try await group.run()
        try pool.close()
    }

    private func router(
        _ store: JobStore,
        _ artifacts: ArtifactStore,
        _ logs: JobLogStore
    ) -> RPCRouter {
        var router = RPCRouter()
        JobHandlers(store: store, artifacts: artifacts, logs: logs).add(to: &router)
        WorkerHandlers(store: store, artifacts: artifacts, logs: logs).add(to: &router)
        router.unary(QatMethods.healthCheck, allow: [.users, .services]) { _, _ in
            do {
                // A real write: a full or broken disk is not healthy.
                try await store.pool.write { db in
                    try db.execute(sql: "UPDATE worker SET seen = seen WHERE instance = ''")
                }
                try artifacts.probe()
                return HealthCheckResponse(status: .serving)
            } catch {
                return HealthCheckResponse(status: .notServing, message: "\(error)")
            }
        }
        return router
    }
}
