/// Whether and when a failed call is tried again, within its one deadline.
struct RetryPolicy: Sendable {
    private static let firstDelay = Duration.milliseconds(200)
    private static let longestDelay = Duration.seconds(5)

    let attempts: Int
    let isIdempotent: Bool

    /// How long to wait before attempt `attempt + 1`, or nil to give up.
    ///
    /// `error`: Why attempt number `attempt`, from 1, failed. `attempt`: How many attempts were
    /// made. `jitter`: A number in 0..<1.
    func delay(after error: RPCError, attempt: Int, jitter: Double) -> Duration? {
        guard attempt < attempts, error.code == .unavailable, error.category != .permanent else {
            return nil
        }
        guard error.processed == .no || (error.processed == .maybe && isIdempotent) else {
            return nil
        }
        if let retryAfter = error.retryAfter { return retryAfter }
        let doubled = Self.firstDelay * (1 << min(attempt - 1, 8))
        return min(doubled, Self.longestDelay) * (0.8 + 0.4 * jitter)
    }
}
