internal import Jobs
internal import Logging
internal import ServiceLifecycle

/// Takes back expired leases, and does what the store wants done now and then.
struct LeaseSweeper: Service {
    let engine: JobEngine
    let policies: PolicyFile
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var round = 0
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                round += 1
                policies.reload(logger)
                do {
                    for id in try await engine.recoverExpired() {
                        logger.warning("job \(id): its worker was not heard of in time")
                    }
                    for id in try await engine.endOverdue() {
                        logger.warning("job \(id): its deadline has passed")
                    }
                    if engine.delays.expire(at: engine.now.uptime) {
                        engine.hub.signal(JobEngine.queueTopic)
                    }
                    try await engine.settleLeftovers()
                    if round % 300 == 0 {
                        try await engine.store.tidy()
                    }
                } catch {
                    if !Task.isCancelled {
                        logger.error("sweeping leases: \(error)")
                    }
                }
            }
        }
    }
}
