internal import Logging
internal import Protocol

/// Calls to the gateway that are repeated until it answers.
struct GatewayLink: Sendable {
    let client: RPCClient
    let logger: Logger

    /// Repeats `call` while the gateway cannot be reached, waiting longer each time up to 10 s.
    ///
    /// `onDelay`: Told once why it takes longer, and nil when it goes on after that. `checkWorth`: Asked before every further try.
    ///
    /// - Throws: What the gateway answers when it refuses, what `checkWorth` throws, or cancellation.
    func untilAnswered<Result: Sendable>(
        _ what: String,
        onDelay: (RPCError?) -> Void = { _ in },
        checkWorth: () throws -> Void = {},
        _ call: () async throws -> Result
    ) async throws -> Result {
        var delay = Duration.milliseconds(500)
        var isTold = false
        while true {
            do {
                let result = try await call()
                if isTold { onDelay(nil) }
                return result
            } catch let error as RPCError where Self.isPassing(error) {
                logger.warning("\(what): \(error.message); trying again in \(delay)")
                if !isTold {
                    isTold = true
                    onDelay(error)
                }
                try checkWorth()
                try await Task.sleep(for: delay)
                try checkWorth()
                delay = min(delay * 2, .seconds(10))
            }
        }
    }

    /// Whether trying again may help.
    static func isPassing(_ error: RPCError) -> Bool {
        [.unavailable, .deadlineExceeded, .aborted, .resourceExhausted].contains(error.code)
    }
}
