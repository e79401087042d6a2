internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// One established connection of a client.
struct ClientConnection: Sendable {
    let link: ConnectionLink
    let limits: NegotiatedLimits
    private let session: ClientSession
    private let channel: any Channel

    /// How long ``close()`` waits for the peer before it hangs up.
    private static let closingTime = TimeAmount.seconds(2)

    /// Connects, does TLS and HELLO; returns when the server has accepted this client.
    ///
    /// - Throws: ``RPCError`` (`unavailable`) naming the address and the cause.
    static func connect(
        _ configuration: RPCClientConfiguration,
        _ context: TLSContext,
        _ logger: Logger
    ) async throws -> ClientConnection {
        let address = configuration.address
        var limits = configuration.limits
        limits.handshakeTimeout = min(limits.handshakeTimeout, configuration.connectTimeout)
        let session = ClientSession(expectedRole: configuration.expectedServerRole)
        let announced = limits
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4 << 10,
                    initial: 16 << 10,
                    maximum: 256 << 10
                )
            )
            .channelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(low: 128 << 10, high: 512 << 10)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let link = ConnectionLink(eventLoop: channel.eventLoop)
                    try channel.pipeline.syncOperations.addHandler(TLSHandler(context))
                    try channel.pipeline.syncOperations.addHandler(
                        ConnectionHandler(
                            side: .client,
                            limits: announced,
                            identity: .thisProcess,
                            owner: session,
                            link: link,
                            logger: logger
                        )
                    )
                }
            }
        do {
            let channel = try await bootstrap.connect(host: address.host, port: address.port).get()
            let (link, agreed) = try await session.established()
            return ClientConnection(link: link, limits: agreed, session: session, channel: channel)
        } catch let error as RPCError {
            throw Self.failure(error.message, address, error.category, error)
        } catch {
            throw Self.failure(Self.explanation(error), address, .retryLater, error)
        }
    }

    /// Whether new calls may use it.
    var isUsable: Bool { session.isUsable }

    /// Lets the open calls finish, then closes.
    func drain() { link.drain() }

    /// Drains; returns when nothing of the connection runs any more.
    ///
    /// A process that ends earlier would take OpenSSL from under the event loop.
    func close() async {
        drain()
        let overdue = channel.eventLoop.scheduleTask(in: Self.closingTime) { [channel] in
            channel.close(promise: nil)
        }
        try? await channel.closeFuture.get()
        overdue.cancel()
    }

    private static func failure(
        _ cause: String,
        _ address: ServerAddress,
        _ category: RPCError.Category,
        _ error: any Error
    ) -> RPCError {
        RPCError(
            .unavailable,
            "cannot connect to \(address): \(cause)",
            category: category,
            processed: .no,
            cause: error
        )
    }

    private static func explanation(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return explanation(first.error) }
            if error.dnsAError != nil { return "no such host" }
        }
        if let error = error as? IOError {
            switch error.errnoCode {
            case ECONNREFUSED: return "connection refused; is the server running?"
            case EHOSTUNREACH, ENETUNREACH: return "host unreachable"
            default: return SocketFault.text(of: error)
            }
        }
        if case .connectTimeout = error as? ChannelError { return "timed out" }
        return "\(error)"
    }
}

/// What a client's connection tells: that it is ready, that it goes away, that it is over.
final class ClientSession: ConnectionOwner {
    private struct State {
        var outcome: Result<(ConnectionLink, NegotiatedLimits), RPCError>?
        var isUsable = true
        var waiter: CheckedContinuation<(ConnectionLink, NegotiatedLimits), any Error>?
    }

    private let expectedRole: String?
    private let state = Mutex(State())

    init(expectedRole: String?) { self.expectedRole = expectedRole }

    /// Whether new calls may use the connection.
    var isUsable: Bool { state.withLock { $0.isUsable } }

    /// Waits for HELLO_ACK.
    func established() async throws -> (ConnectionLink, NegotiatedLimits) {
        try await withCheckedThrowingContinuation { continuation in
            let known = state.withLock { state in
                if state.outcome == nil { state.waiter = continuation }
                return state.outcome
            }
            if let known { continuation.resume(with: known.mapError { $0 as any Error }) }
        }
    }

    func admit(_ peer: PeerIdentity) throws {
        guard let role = peer.role else {
            throw RPCError(.unauthenticated, "the server calls itself \(peer), which is a user")
        }
        guard let expectedRole, role != expectedRole else { return }
        throw RPCError(
            .unauthenticated,
            "the server calls itself \(peer); a server of role '\(expectedRole)' was expected"
        )
    }

    func ready(_ link: ConnectionLink, _ limits: NegotiatedLimits, peer: PeerIdentity) {
        settle(.success((link, limits)))
    }

    func open(
        _ stream: CallStream,
        _ envelope: CallEnvelope,
        peer: PeerIdentity
    ) -> Task<Void, Never>? { nil }

    func goAway(_ notice: GoAway) { state.withLock { $0.isUsable = false } }

    func closed(_ error: RPCError) {
        state.withLock { $0.isUsable = false }
        settle(.failure(error))
    }

    private func settle(_ result: Result<(ConnectionLink, NegotiatedLimits), RPCError>) {
        let waiter = state.withLock { state in
            guard state.outcome == nil else {
                return CheckedContinuation<(ConnectionLink, NegotiatedLimits), any Error>?.none
            }
            state.outcome = result
            return state.waiter.take()
        }
        waiter?.resume(with: result.mapError { $0 as any Error })
    }
}
