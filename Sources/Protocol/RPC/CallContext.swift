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
}
