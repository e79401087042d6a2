internal import Protocol
internal import Synchronization

/// How long a verb that waits for jobs goes on without a gateway.
struct Patience: Sendable {
    /// The longest outage that is borne.
    var limit = Duration.seconds(120)
    /// The time since some moment.
    var now: @Sendable () -> Duration = { Patience.began.duration(to: .now) }
    /// Lets time go by.
    var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    private static let began = ContinuousClock.now
}

/// Says, once, that a gateway which answers does not let something be followed, as of who follows too much already.
final class RefusalNote: Sendable {
    private let target: JobTarget
    private let isSaid = Mutex(false)

    init(_ target: JobTarget) { self.target = target }

    func say(_ error: RPCError) {
        let isNews = isSaid.withLock { isSaid in
            defer { isSaid = true }
            return !isSaid
        }
        if isNews { Console.note(sentence(error)) }
    }

    func sentence(_ error: RPCError) -> String {
        "\(target.description) cannot be followed, and is asked about now and then: \(error.message)"
    }
}

/// The outages of the gateway that a wait for a job or a pipeline lives through.
///
/// Each may be as long as ``Patience`` bears.
///
/// Whatever the gateway answers ends an outage, so that any number of them is borne: a wait overnight
/// sees an upgrade, and the next one.
struct Outage {
    /// Pauses between tries grow from the first to the longest.
    private static let firstPause = Duration.milliseconds(250)
    private static let longestPause = Duration.seconds(5)

    private let patience: Patience
    private let target: JobTarget
    private let again: String
    private var hasConnected: Bool
    private var lostSince: Duration?
    private var pause = firstPause

    /// No outage yet.
    ///
    /// - Parameters:
    ///   - target: Whom messages name.
    ///   - again: The command that goes on with what an outage ended.
    ///   - hasConnected: Whether the gateway has answered; one that never did is not waited for.
    ///   - patience: How long an outage may last.
    init(_ target: JobTarget, again: String, hasConnected: Bool, patience: Patience) {
        self.target = target
        self.again = again
        self.hasConnected = hasConnected
        self.patience = patience
    }

    /// Whether the gateway has not answered since the connection was lost.
    var isOn: Bool { lostSince != nil }

    /// The gateway has answered.
    mutating func end() {
        hasConnected = true
        lostSince = nil
        pause = Self.firstPause
    }

    /// The gateway has answered a question; whether it also tells what happens, nobody knows yet.
    mutating func answer() {
        hasConnected = true
        lostSince = nil
    }

    /// Waits until it is time to try again.
    ///
    /// - Throws: ``ClientError`` naming the target if this outage lasts too long, or trying is of no use.
    mutating func outlast(_ error: RPCError) async throws {
        let since = lostSince ?? patience.now()
        lostSince = since
        guard hasConnected, !error.isRefusedConnection, patience.now() - since < patience.limit
        else {
            throw ClientError(
                ExitStatus(error),
                "\(error.message); \(target.description) is unaffected, continue with \"\(again)\""
            )
        }
        try await patience.sleep(pause)
        pause = min(pause * 2, Self.longestPause)
    }

    /// Waits for the shortest pause, of a gateway that answers.
    func breathe() async throws {
        try await patience.sleep(Self.firstPause)
    }

    /// Does what `body` does, from the beginning after every loss, until it is done.
    ///
    /// - Throws: What `body` throws that is no loss of the connection, or as ``outlast(_:)``.
    mutating func bearing<Result>(_ body: () async throws -> Result) async throws -> Result {
        while true {
            do {
                let result = try await body()
                end()
                return result
            } catch let error as RPCError where error.isConnectionLoss {
                try await outlast(error)
            }
        }
    }
}
