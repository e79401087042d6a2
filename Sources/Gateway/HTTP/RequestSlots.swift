internal import HTTPTypes
internal import Synchronization

/// How many requests to models are answered at once, in all and for each user.
final class RequestSlots: Sendable {
    private let limit: Int
    private let userLimit: Int
    private let taken = Mutex<[String: Int]>([:])

    init(limit: Int, userLimit: Int) {
        self.limit = limit
        self.userLimit = userLimit
    }

    /// Requests that are being answered.
    var count: Int { taken.withLock { $0.values.reduce(0, +) } }

    /// Answers a request of a user, if there is room for it.
    ///
    /// - Throws: ``HTTPFailure`` if there is none.
    func hold<Value>(for user: String, _ body: () async throws -> Value) async throws -> Value {
        try take(user)
        defer { give(user) }
        return try await body()
    }

    private func take(_ user: String) throws {
        try taken.withLock { taken in
            let own = taken[user, default: 0]
            guard own < userLimit else {
                throw HTTPFailure(
                    .tooManyRequests,
                    "\(user) has \(own) requests at once, as many as one user may have",
                    type: "rate_limit_error",
                    code: "rate_limit_exceeded",
                    retryAfter: 1
                )
            }
            guard taken.values.reduce(0, +) < limit else {
                throw HTTPFailure(
                    .serviceUnavailable,
                    "\(limit) requests are being answered, as many as may be at once",
                    type: "server_error",
                    code: "overloaded",
                    retryAfter: 1
                )
            }
            taken[user] = own + 1
        }
    }

    private func give(_ user: String) {
        taken.withLock { taken in
            let own = taken[user, default: 1] - 1
            taken[user] = own > 0 ? own : nil
        }
    }
}
