/// How long a daemon that died stays down before it is started again.
///
/// Half a second, doubling to ten; a daemon that lived for half a minute starts over.
struct RestartBackoff: Sendable, Equatable {
    static let shortest = Duration.milliseconds(500)
    static let longest = Duration.seconds(10)
    static let stableLifetime = Duration.seconds(30)

    private var next = shortest

    /// The delay after a life of that length.
    mutating func delay(afterLifetime lifetime: Duration) -> Duration {
        if lifetime >= Self.stableLifetime {
            next = Self.shortest
        }
        defer { next = min(next * 2, Self.longest) }
        return next
    }
}
