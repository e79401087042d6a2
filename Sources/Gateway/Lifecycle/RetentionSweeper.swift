internal import Foundation
internal import Jobs
internal import Logging
internal import ServiceLifecycle

/// Does away with what is over and old, once an hour.
struct RetentionSweeper: Service {
    let sweep: RetentionSweep
    let logger: Logger
    /// After a start, leases and uploads have precedence.
    var delay = Duration.seconds(60)
    var interval = Duration.seconds(3600)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            let start = ContinuousClock.now
            try? await Task.sleep(for: delay)
            var time = SteadyTime(lastKnown: await lastKnown())
            while !Task.isCancelled {
                let elapsed = Int64(start.duration(to: .now) / .milliseconds(1))
                if time.admits(unix: sweep.engine.now.unix, elapsed: elapsed) {
                    await round()
                } else {
                    logger.warning(
                        "the clock is far ahead of what was before: for a day nothing is taken for old"
                    )
                }
                try? await Task.sleep(for: interval)
            }
        }
    }

    /// When the newest job was last heard of.
    private func lastKnown() async -> Int64? {
        let page = try? await sweep.engine.store.page(
            before: nil,
            limit: 1,
            of: JobChoice()
        )
        guard case .job(let newest) = page?.first else { return nil }
        return newest.job.finished ?? newest.job.started ?? newest.job.created
    }

    private func round() async {
        let start = ContinuousClock.now
        do {
            let tally = try await sweep.run()
            let seconds = Int64(start.duration(to: .now) / .seconds(1))
            logger.log(
                level: tally.isEmpty ? .debug : .notice,
                "retention: removed \(tally) in \(seconds) s"
            )
            // As many as a log takes; the next round finds the others.
            for fault in tally.faults.prefix(20) { logger.error("retention: \(fault)") }
        } catch {
            // It was interrupted, since the gateway stops.
            return
        }
    }
}
