internal import Logging
internal import ServiceLifecycle

/// Gives up requests for texts that have waited too long, once a second.
struct ServingSweeper: Service {
    let models: ModelRouter
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                do {
                    try await models.expire()
                } catch {
                    guard !Task.isCancelled else { return }
                    logger.error("sweeping requests: \(StoreError.sentence(of: error))")
                }
            }
        }
    }
}
