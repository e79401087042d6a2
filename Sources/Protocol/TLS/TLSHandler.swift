internal import NIOCore

/// Encrypts what goes out and decrypts what comes in, on the event loop.
///
/// It tells the handlers above with ``TLSHandshakeOutcome`` when the peer is known.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase { case handshaking, open, failed }

    private let context: TLSContext
    private var connection: TLSConnection?
    private var phase = Phase.handshaking
    /// Storage that serves again once the handlers below and above have let go of it.
    private var plain = ByteBuffer()
    private var cipher = ByteBuffer()
    private var pending: [(ByteBuffer, EventLoopPromise<Void>?)] = []

    init(_ context: TLSContext) { self.context = context }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let connection, phase != .failed else { return }
        connection.feed(unwrapInboundIn(data))
        do {
            if phase == .handshaking { try goOn(connection, context) }
            guard phase == .open else { return }
            plain.clear()
            let state = try connection.read(into: &plain)
            if plain.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(plain)) }
            if state == .closed { context.close(promise: nil) }
        } catch {
            fail(error, context)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        pending.append((unwrapOutboundIn(data), promise))
    }

    func flush(context: ChannelHandlerContext) {
        guard let connection, phase == .open else { return context.flush() }
        do {
            var promises: [EventLoopPromise<Void>] = []
            for (bytes, promise) in pending {
                try connection.write(bytes)
                if let promise { promises.append(promise) }
            }
            pending.removeAll(keepingCapacity: true)
            var written: EventLoopPromise<Void>?
            if !promises.isEmpty {
                let all = context.eventLoop.makePromise(of: Void.self)
                for promise in promises { all.futureResult.cascade(to: promise) }
                written = all
            }
            sendOutgoing(connection, context, written)
        } catch {
            fail(error, context)
        }
    }

    func close(
        context: ChannelHandlerContext,
        mode: CloseMode,
        promise: EventLoopPromise<Void>?
    ) {
        if let connection, phase == .open, mode != .input {
            connection.shutDown()
            sendOutgoing(connection, context, nil)
        }
        context.close(mode: mode, promise: promise)
    }

    func channelInactive(context: ChannelHandlerContext) {
        for (_, promise) in pending { promise?.fail(ChannelError.ioOnClosedChannel) }
        pending = []
        if phase == .handshaking {
            let error = RPCError(
                .unavailable,
                "the peer closed the connection during the TLS handshake",
                processed: .no
            )
            context.fireUserInboundEventTriggered(TLSHandshakeOutcome.failed(error))
        }
        phase = .failed
        context.fireChannelInactive()
    }

    private func start(_ context: ChannelHandlerContext) {
        guard connection == nil else { return }
        do {
            let connection = try TLSConnection(self.context)
            self.connection = connection
            try goOn(connection, context)
        } catch {
            fail(error, context)
        }
    }

    private func goOn(
        _ connection: TLSConnection,
        _ context: ChannelHandlerContext
    ) throws {
        let state: TLSConnection.HandshakeState
        do {
            state = try connection.handshake()
        } catch {
            sendOutgoing(connection, context, nil)
            throw error
        }
        sendOutgoing(connection, context, nil)
        guard state == .done else { return }
        guard self.context.namesPeers else {
            phase = .open
            if !pending.isEmpty { flush(context: context) }
            return
        }
        guard connection.speaksProtocol else {
            throw RPCError(
                .unavailable,
                "the peer does not speak qatrpc/1",
                category: .permanent,
                processed: .no
            )
        }
        phase = .open
        let outcome: TLSHandshakeOutcome
        do {
            outcome = .verified(try connection.peerIdentity())
        } catch let error as RPCError {
            outcome = .refused(error)
        }
        context.fireUserInboundEventTriggered(outcome)
        if !pending.isEmpty { flush(context: context) }
    }

    private func sendOutgoing(
        _ connection: TLSConnection,
        _ context: ChannelHandlerContext,
        _ promise: EventLoopPromise<Void>?
    ) {
        cipher.clear()
        guard connection.takeOutgoing(into: &cipher) else {
            promise?.succeed()
            return
        }
        context.writeAndFlush(wrapOutboundOut(cipher), promise: promise)
    }

    /// The alert is already on its way; the owner lingers so that the peer can read it.
    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard phase != .failed else { return }
        phase = .failed
        let failure = RPCError(handlerError: error)
        context.fireUserInboundEventTriggered(TLSHandshakeOutcome.failed(failure))
    }
}

/// What became of a TLS handshake, or of an established session that broke.
enum TLSHandshakeOutcome: Sendable {
    /// The peer is who its certificate says.
    case verified(PeerIdentity)
    /// TLS stands, but the certificate names nobody this suite knows.
    case refused(RPCError)
    /// TLS does not stand.
    case failed(RPCError)
}
