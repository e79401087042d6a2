internal import GRDB
internal import Logging
internal import ServiceLifecycle

/// Takes back expired leases, and keeps the write-ahead log short.
struct LeaseSweeper: Service {
    let store: JobStore
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var round = 0
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                round += 1
                do {
                    for id in try await store.recoverExpired() {
                        logger.warning("job \(id): its worker was not heard of in time")
                    }
                    if round % 300 == 0 {
                        try await store.pool.writeWithoutTransaction { db in
                            _ = try db.checkpoint(.truncate)
                        }
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
