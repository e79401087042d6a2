internal import Foundation
internal import Jobs
internal import Logging
internal import ServiceLifecycle

/// Does away with what is over and old, once an hour.
struct RetentionSweeper: Service {
    let sweep: RetentionSweep
    let clock: SteadyClock
    let logger: Logger
    /// After a start, leases and uploads have precedence.
    var delay = Duration.seconds(60)
    var interval = Duration.seconds(3600)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            try? await Task.sleep(for: delay)
            while !Task.isCancelled {
                if clock.admits(sweep.engine.now.unix) {
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

    private func round() async {
        let start = ContinuousClock.now
        var tally = RetentionSweep.Tally()
        // A round that is cut off, since the gateway stops, is told of as far as it came.
        try? await sweep.run(&tally)
        let seconds = Int64(start.duration(to: .now) / .seconds(1))
        logger.log(
            level: tally.isEmpty ? .debug : .notice,
            "retention: removed \(tally) in \(seconds) s"
        )
        for note in tally.notes { logger.notice("retention: \(note)") }
        // As many as a log takes; the next round finds the others.
        for fault in tally.faults.prefix(20) { logger.error("retention: \(fault)") }
    }
}
