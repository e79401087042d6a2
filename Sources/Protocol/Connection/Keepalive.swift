/// When to ping, and when to give a silent peer up.
struct Keepalive: Sendable {
    enum Due: Sendable { case nothing, ping, dead }

    let started: ContinuousClock.Instant
    private let minimum: Duration
    private let timeout: Duration
    private var interval: Duration
    private var lastHeard: ContinuousClock.Instant
    private var pingSent: ContinuousClock.Instant?
    private var lastPeerPing: ContinuousClock.Instant?
    private var strikes = 0

    init(limits: ConnectionLimits, now: ContinuousClock.Instant) {
        started = now
        lastHeard = now
        interval = limits.pingInterval
        minimum = limits.pingMinimum
        timeout = limits.pingTimeout
    }

    /// Never pings faster than the peer accepts.
    mutating func adopt(peerMinimum: Duration) { interval = max(interval, peerMinimum) }

    /// Anything at all arrived.
    mutating func heard(_ now: ContinuousClock.Instant) {
        lastHeard = now
        pingSent = nil
    }

    /// What to do now; pings only while calls are open.
    mutating func due(_ now: ContinuousClock.Instant, isBusy: Bool) -> Due {
        if let pingSent { return now - pingSent >= timeout ? .dead : .nothing }
        guard isBusy, now - lastHeard >= interval else { return .nothing }
        pingSent = now
        return .ping
    }

    /// Whether the peer's ping comes late enough; `tolerated` early ones in a row are forgiven.
    mutating func acceptsPing(_ now: ContinuousClock.Instant, tolerated: Int) -> Bool {
        let isEarly = lastPeerPing.map { now - $0 < minimum } ?? false
        lastPeerPing = now
        strikes = isEarly ? strikes + 1 : 0
        return strikes <= tolerated
    }
}

/// Allows `perSecond` events on average, `burst` at once.
struct TokenBucket: Sendable {
    private let perSecond: Double
    private let burst: Double
    private var tokens: Double
    private var last: ContinuousClock.Instant

    init(perSecond: Int, burst: Int, now: ContinuousClock.Instant) {
        self.perSecond = Double(perSecond)
        self.burst = Double(burst)
        tokens = Double(burst)
        last = now
    }

    mutating func take(_ now: ContinuousClock.Instant) -> Bool {
        let seconds = (now - last) / .seconds(1)
        tokens = min(burst, tokens + seconds * perSecond)
        last = now
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
