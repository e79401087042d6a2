internal import JobSpecs
internal import Jobs
internal import Protocol
internal import ServiceKit

extension GatewayAPI {
    /// The suite in figures, of everybody's jobs: for those who see them all.
    func metrics(by principal: Principal) async throws -> MetricsPage {
        let caller = Caller(principal, .status)
        let user = try authority.user(caller)
        guard user.seesAll else {
            throw authority.denied(
                caller,
                "metrics tell of everybody's jobs, and the caller sees their own"
            )
        }
        var page = MetricsPage()
        page.gauge(
            "qat_build_info",
            "The gateway's version.",
            [.init(1, ("version", SuiteVersion.current))]
        )
        page.gauge(
            "qat_uptime_seconds",
            "Since the gateway was started.",
            [.init((ContinuousClock.now - started) / .seconds(1))]
        )
        try await addJobs(to: &page)
        try await addReports(to: &page)
        page.histogram(
            "qat_rpc_seconds",
            "How long calls over RPC took, by method; those that wait for something, such as Acquire, included.",
            engine.figures.calls.sorted { $0.key < $1.key }.map { ([("method", $0.key)], $0.value) }
        )
        let services = try await engine.services()
        page.gauge(
            "qat_workers",
            "Workers by role and state.",
            Dictionary(grouping: services) { [$0.role, $0.state] }
                .sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { .init(Double($0.value.count), ("role", $0.key[0]), ("state", $0.key[1])) }
        )
        return page
    }

    private func addJobs(to page: inout MetricsPage) async throws {
        let counts = try await engine.store.stateCounts()
        page.gauge(
            "qat_jobs",
            "Jobs that are kept, by state.",
            JobState.allCases.filter { $0 != .recovering }.map {
                .init(Double(counts[$0]?.count ?? 0), ("state", $0.rawValue))
            }
        )
        let oldest = counts[.queued]?.oldest.map { Double(engine.now.unix - $0) / 1000 }
        page.gauge(
            "qat_queued_age_seconds",
            "Since the oldest job that waits for a worker was submitted; 0 if none waits.",
            [.init(max(0, oldest ?? 0))]
        )
        page.histogram(
            "qat_job_wait_seconds",
            "From a job's submission to its first start.",
            [([], engine.figures.waits)]
        )
    }

    /// Figures of jobs that run, as their workers reported them last.
    private func addReports(to page: inout MetricsPage) async throws {
        var running: [String: String] = [:]
        try await engine.forEach(in: JobState.leased) { running[$0.job.id] = $0.job.kind.rawValue }
        let reports = engine.figures.reports(of: Set(running.keys)).sorted { $0.key < $1.key }
        func samples(_ value: (EngineFigures.Report) -> Double?) -> [MetricsPage.Sample] {
            reports.compactMap { job, report in
                value(report).map { .init($0, ("job", job), ("kind", running[job] ?? "")) }
            }
        }
        page.gauge(
            "qat_job_step",
            "Steps that a running job has finished.",
            samples { $0.progress.map { Double($0.step) } }
        )
        page.gauge(
            "qat_job_tokens_per_second",
            "A running job's throughput.",
            samples { $0.progress?.tokensPerSecond }
        )
        page.gauge("qat_job_loss", "A running job's last loss.", samples { $0.progress?.loss })
        let figures = reports.map { job, report in
            (job, (try? JSONParser.parse(report.metrics).value)?.objectValue ?? [:])
        }
        func figure(_ key: String) -> [MetricsPage.Sample] {
            figures.compactMap { job, metrics in
                metrics[key]?.doubleValue.map {
                    .init($0, ("job", job), ("kind", running[job] ?? ""))
                }
            }
        }
        page.gauge(
            "qat_job_quantization_error_max",
            "The largest mean absolute quantization error of a running training's layers.",
            figure("mean_absolute_error_max")
        )
        page.gauge(
            "qat_job_quantization_sqnr_db_min",
            "The smallest signal-to-quantization-noise ratio of its layers, in dB.",
            figure("sqnr_db_min")
        )
    }
}
