internal import Jobs
internal import Logging
internal import ServiceLifecycle

/// Takes back expired leases, and does what the store wants done now and then.
struct LeaseSweeper: Service {
    let engine: JobEngine
    let policies: PolicyFile
    let logger: Logger
    /// Waits for a second between two rounds, and says how long that took.
    var wait: @Sendable () async -> Duration = {
        let start = ContinuousClock.now
        try? await Task.sleep(for: .seconds(1))
        return start.duration(to: .now)
    }

    /// A wait that took longer was none of the gateway's doing.
    private static let longWait = Duration.seconds(3)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var round = 0
            while !Task.isCancelled {
                // The wait is measured, and not the work: a round that takes long hears workers meanwhile.
                let pause = await wait()
                round += 1
                policies.reload(logger)
                if pause > Self.longWait {
                    // Stopped, or starved: nobody was heard in that time, whoever called.
                    logger.warning("the gateway stood still for \(pause): leases are renewed")
                    guard await attempt({ try await engine.renewLeases() }) else { continue }
                }
                await sweep()
                await tidy(round)
            }
        }
    }

    private func sweep() async {
        switch engine.lookForArtifacts() {
        case .back: logger.notice("the artifacts can be used again: jobs are handed out")
        case .obstacle(let words):
            logger.error("the artifacts \(words): no job is handed out until that is mended")
        case nil: break
        }
        await attempt {
            for id in try await engine.recoverExpired() {
                logger.warning("job \(id): its worker was not heard of in time")
            }
        }
        await attempt {
            for id in try await engine.endOverdue() {
                logger.warning("job \(id): its deadline has passed")
            }
        }
        if engine.delays.expire(at: engine.now.uptime) {
            engine.hub.signal(JobEngine.queueTopic)
        }
        await attempt { try await engine.settleLeftovers() }
    }

    private func tidy(_ round: Int) async {
        if round % 60 == 0 {
            await attempt {
                for worker in try await engine.forgetWorkers() {
                    logger.notice("\(worker) has been gone for long: it is forgotten")
                }
            }
        }
        if round % 10 == 0 { await attempt { try await engine.adoptLeases() } }
        if round % 300 == 0 { await attempt { try await engine.takeUpAgain() } }
        if round % 3600 == 0 { await attempt { try await engine.rememberWorkers() } }
        if round % 300 == 0 { await attempt { try await engine.store.tidy() } }
    }

    /// Does one thing of a round; that it fails keeps nothing else.
    @discardableResult
    private func attempt(_ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return true
        } catch {
            if !Task.isCancelled {
                logger.error("sweeping leases: \(StoreError.sentence(of: error))")
            }
            return false
        }
    }
}
