internal import Jobs
internal import Logging
internal import ServiceLifecycle

/// Takes back expired leases, and does what the store wants done now and then.
struct LeaseSweeper: Service {
    let engine: JobEngine
    let policies: PolicyFile
    let logger: Logger

    /// Between two rounds that should be a second apart.
    private static let longPause = Duration.seconds(3)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var round = 0
            var last = ContinuousClock.now
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                round += 1
                let pause = last.duration(to: .now)
                last = .now
                policies.reload(logger)
                do {
                    if pause > Self.longPause {
                        // Stopped, or starved: nobody was heard in that time, whoever called.
                        logger.warning("the gateway stood still for \(pause): leases are renewed")
                        try await engine.renewLeases()
                    }
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
                    if round % 60 == 0 {
                        for worker in try await engine.forgetWorkers() {
                            logger.notice("\(worker) has been gone for long: it is forgotten")
                        }
                    }
                    if round % 3600 == 0 { try await engine.rememberWorkers() }
                    if round % 300 == 0 {
                        try await engine.store.tidy()
                    }
                } catch {
                    if !Task.isCancelled {
                        logger.error("sweeping leases: \(StoreError.sentence(of: error))")
                    }
                }
            }
        }
    }
}
