/// What a replica says of itself, every few seconds.
public struct ReplicaReport: Sendable, Equatable, Codable {
    /// Whether it ends, and takes no more requests.
    public var isDraining = false
    /// Its engine's work so far.
    public var load = ReplicaLoad()
    /// The last prompt that it tried by itself.
    public var probe = ReplicaProbe()

    /// A report of nothing.
    public init() {}
}

/// What a replica's engine does and has; counts are since it was loaded.
public struct ReplicaLoad: Sendable, Equatable, Codable {
    /// Texts that are being written or read.
    public var running = 0
    /// Texts that wait for a place.
    public var waiting = 0
    /// Pages of the key-value cache that are in use.
    public var usedPages = 0
    /// Pages of the cache.
    public var pages = 0
    /// Tokens of prompts that were computed.
    public var promptTokens = 0
    /// Tokens of prompts that a known beginning saved.
    public var reusedTokens = 0
    /// Tokens that were drawn.
    public var drawnTokens = 0
    /// Texts that gave their pages back for another.
    public var preemptions = 0
    /// Passes of the engine.
    public var passes = 0
    /// Answers that ended.
    public var texts = 0

    /// No load.
    public init() {}
}

/// How a real prompt went that a replica tries at times.
public struct ReplicaProbe: Sendable, Equatable, Codable {
    /// When it ended, in Unix milliseconds; 0 before the first.
    public var timeUnixMs: Int64 = 0
    /// Whether it was answered as it should be.
    public var isHealthy = false
    /// How long it took, in seconds.
    public var seconds = 0.0
    /// What is wrong, in a sentence; empty if nothing is.
    public var message = ""

    /// No probe yet.
    public init() {}
}
