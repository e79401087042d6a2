internal import Protocol

/// Every method that the gateway answers.
struct GatewayRouter: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore
    let authority: Authority

    /// The methods with their handlers.
    var router: RPCRouter {
        var router = RPCRouter()
        JobHandlers(engine: engine, artifacts: artifacts, logs: logs, authority: authority)
            .add(to: &router)
        WorkerHandlers(engine: engine, artifacts: artifacts, logs: logs, authority: authority)
            .add(to: &router)
        BlobHandlers(engine: engine, artifacts: artifacts, authority: authority).add(to: &router)
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
