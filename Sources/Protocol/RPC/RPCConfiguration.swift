/// Every limit of a connection; each side announces its own and obeys the other's.
public struct ConnectionLimits: Sendable, Hashable {
    /// Longest payload of one frame, in bytes: 16 KiB to 1 MiB.
    public var frameByteCount = 64 << 10
    /// Longest message, in bytes: at most 1 MiB.
    public var messageByteCount = 256 << 10
    /// Bytes in flight on one stream before the receiver grants more.
    public var streamCreditByteCount = 256 << 10
    /// Bytes in flight on the connection before the receiver grants more.
    public var connectionCreditByteCount = 1 << 20
    /// Bytes of messages that are not whole yet, on all streams of a connection together.
    public var unfinishedByteCount = 4 << 20
    /// Bytes that came for handlers which have not taken them, on all streams together.
    public var untakenByteCount = 16 << 20
    /// Handlers that run at once for one connection.
    public var runningCalls = 128
    /// Calls under one certificate's name, on all its connections, that run or whose answers wait to be sent:
    /// each may hold one that nobody reads.
    public var runningCallsPerPeer = 128
    /// The same of all users together; services are bounded each by itself, so that users cannot keep workers
    /// out.
    public var runningUserCalls = 512
    /// Streams of messages to the caller under one certificate's name.
    ///
    /// They may last as long as a job and are
    /// none of its calls: whoever watches much can still call.
    public var runningStreamsPerPeer = 256
    /// The same of all users together.
    public var runningUserStreams = 768
    /// Calls of a user, and as many streams, that run whatever those of other users take: nobody is locked out
    /// by others, who may be gone for the night.
    public var reservedUserCalls = 16
    /// Connections a server holds at once.
    public var connections = 1_024
    /// Connections a server holds from one address at once.
    public var connectionsPerHost = 256
    /// Connections under one certificate's name.
    public var connectionsPerPeer = 64
    /// Connections above that under one name which are kept for a moment to be told so.
    public var surplusPerPeer = 4
    /// The same under all names.
    public var surplus = 64
    /// Connections from one address, and from all four times as many, that have not said HELLO yet.
    public var openingsPerHost = 64
    /// Time for TCP, TLS and HELLO together.
    public var handshakeTimeout = Duration.seconds(10)
    /// Silence after which a ping is sent while streams exist.
    public var pingInterval = Duration.seconds(30)
    /// Shortest interval between pings that is accepted from the peer.
    public var pingMinimum = Duration.seconds(10)
    /// Time for a pong, and for a blocked write to move.
    public var pingTimeout = Duration.seconds(10)
    /// Time running calls get once a drain begins.
    public var drainTimeout = Duration.seconds(10)

    /// The defaults.
    public init() {}
}

/// What a server needs to listen.
public struct RPCServerConfiguration: Sendable {
    /// The address to bind.
    public var host: String
    /// The port to bind; 0 lets the system choose.
    public var port: Int
    /// The server's certificate and whom it trusts.
    public var tls: TLSIdentityFiles
    /// The limits it announces.
    public var limits: ConnectionLimits

    /// Collects the settings.
    public init(
        host: String,
        port: Int,
        tls: TLSIdentityFiles,
        limits: ConnectionLimits = ConnectionLimits()
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.limits = limits
    }
}

/// What a client needs to call one server.
public struct RPCClientConfiguration: Sendable {
    /// Where the server listens.
    public var address: ServerAddress
    /// The client's certificate and whom it trusts.
    public var tls: TLSIdentityFiles
    /// The role that the server's certificate must name; nil accepts every service.
    public var expectedServerRole: String?
    /// Time for one attempt to connect, TLS and HELLO included.
    public var connectTimeout: Duration
    /// Attempts of one call, the first included.
    public var callAttempts: Int
    /// The limits it announces.
    public var limits: ConnectionLimits

    /// Collects the settings.
    public init(
        address: ServerAddress,
        tls: TLSIdentityFiles,
        expectedServerRole: String? = nil,
        connectTimeout: Duration = .seconds(5),
        callAttempts: Int = 5,
        limits: ConnectionLimits = ConnectionLimits()
    ) {
        self.address = address
        self.tls = tls
        self.expectedServerRole = expectedServerRole
        self.connectTimeout = connectTimeout
        self.callAttempts = callAttempts
        self.limits = limits
    }
}
