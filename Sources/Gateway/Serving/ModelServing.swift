internal import Serving

/// Served models as callers of the gateway may use them.
protocol ModelServing: Sendable {
    /// Models that this principal may use, with at least one replica that was ready once.
    func models(for principal: Principal) async throws -> [ServedModel]

    /// Answers; the stream's end of iteration or cancellation frees the slot on the replica.
    ///
    /// - Throws: ``RPCError``, here or in the stream: `invalidArgument`, `notFound`, `permissionDenied`,
    ///   `resourceExhausted` (with `retryAfter`), `unavailable`.
    func answers(
        to request: TextRequest,
        model: String,
        for principal: Principal
    ) async throws -> AsyncThrowingStream<TextAnswer, any Error>

    /// Tokens of a text or conversation.
    ///
    /// - Throws: As ``answers(to:model:for:)``.
    func tokens(
        of prompt: TextRequest.Prompt,
        model: String,
        for principal: Principal
    ) async throws -> [Int32]

    /// Figures of all replicas for /metrics and /health, at once.
    func replicas() async -> [ReplicaState]
}

/// How a replica stands.
struct ReplicaState: Sendable, Equatable {
    /// The model's name.
    var model: String
    /// Whose it is.
    var owner: String
    /// The serve job.
    var job: String
    /// The worker's instance.
    var worker: String
    /// Whether it takes requests.
    var isReady: Bool
    /// Whether it ends.
    var isDraining: Bool
    /// Texts at once.
    var slots: Int
    /// Requests that it answers at this moment.
    var running: Int
    /// Requests of its model that wait in the gateway for a replica.
    var queued: Int
    /// What it said of itself last: running, waiting, pages, tokens.
    var load: ReplicaLoad
    /// Its last probe.
    var probe: ReplicaProbe
    /// Seconds from a request's coming to the gateway to its first text, of all requests since it was connected.
    var firstText: DurationHistogram
}

/// How many durations were at most so long, as Prometheus counts them.
struct DurationHistogram: Sendable, Equatable {
    /// Upper bounds of the buckets, in seconds.
    static let bounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    /// Durations of at most each bound, those of smaller ones included.
    private(set) var counts = Array(repeating: 0, count: bounds.count)
    /// All durations.
    private(set) var count = 0
    /// Their sum, in seconds.
    private(set) var sum = 0.0

    /// Counts a duration in seconds.
    mutating func add(_ seconds: Double) {
        count += 1
        sum += seconds
        for (index, bound) in Self.bounds.enumerated() where seconds <= bound { counts[index] += 1 }
    }
}
