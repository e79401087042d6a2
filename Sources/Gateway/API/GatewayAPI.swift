internal import Jobs
internal import Protocol

/// What the gateway does for users and workers, apart from how they reach it.
///
/// Every method takes the ``Principal`` that asks, refuses what the policy does not allow it, and throws
/// ``StoreError`` or ``RPCError``. Ways in (`RPC/`) translate and decide nothing.
struct GatewayAPI: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore
    let authority: Authority
    /// When the first of the gateway's own certificates ends, in Unix milliseconds.
    var certificateEnds: Int64 = 0
    /// How long what is over is kept.
    var retention = RetentionPolicy()
    /// Whether anything can be told to be old.
    var clock = SteadyClock()
    /// The one reading of all artifacts at a time.
    let audits = ExclusiveTurn()
    let uploads = RunningUploads()
    /// Requests and replicas of served models.
    let serving = ServingRegistry()
    let monitor = HealthMonitor()
    let started = ContinuousClock.now

    /// Ends every wait, so that a gateway which stops has nobody to wait for.
    ///
    /// Workers that wait for a job get none; watchers are told to come again.
    func drain() {
        engine.hub.close()
        serving.close()
    }

    /// Whether the gateway could keep what it would be told.
    func health(by principal: Principal) async throws -> HealthCheckResponse {
        try authority.admit(Caller(principal, .healthCheck))
        return await monitor.health { [engine, artifacts] in
            // A real write: a full or broken disk is not healthy.
            try await engine.store.probe()
            try artifacts.probe()
        }
    }
}

/// Looks at the disk once a second at most, however often it is asked.
actor HealthMonitor {
    private static let validity = Duration.seconds(1)

    private var last: (time: ContinuousClock.Instant, response: HealthCheckResponse)?
    private var running: Task<HealthCheckResponse, Never>?

    /// What `probe`, which throws what is wrong, found last or finds now.
    func health(_ probe: @escaping @Sendable () async throws -> Void) async -> HealthCheckResponse {
        if let last, ContinuousClock.now - last.time < Self.validity { return last.response }
        if let running { return await running.value }
        let task = Task { () -> HealthCheckResponse in
            do {
                try await probe()
                return HealthCheckResponse(status: .serving)
            } catch {
                return HealthCheckResponse(
                    status: .notServing,
                    message: StoreError.sentence(of: error)
                )
            }
        }
        running = task
        let response = await task.value
        last = (.now, response)
        running = nil
        return response
    }
}
