/// What a handler knows about its call beside the request.
public struct CallContext: Sendable {
    /// Who calls, as its certificate says.
    public let peer: PeerIdentity
    /// When the caller stops waiting; nil for streams without a limit.
    public let deadline: ContinuousClock.Instant?
    /// `qat.v1.Service/Method`.
    public let method: String
    /// 32 hexadecimal digits that name the call in the logs of both sides.
    public let callID: String
    /// Whether the caller's connection is open still.
    public let isConnected: @Sendable () -> Bool

    /// A context of its parts.
    public init(
        peer: PeerIdentity,
        deadline: ContinuousClock.Instant? = nil,
        method: String,
        callID: String,
        isConnected: @escaping @Sendable () -> Bool = { true }
    ) {
        self.peer = peer
        self.deadline = deadline
        self.method = method
        self.callID = callID
        self.isConnected = isConnected
    }
}
