internal import Logging
internal import NIOCore

/// Drives a ``ConnectionStateMachine`` from a channel: obeys its actions, and writes what the
/// streams' tasks have left in their outboxes, one flush per turn of the loop.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes handed to TLS at once.
    static let batchByteCount = 256 << 10
    static let tickInterval = TimeAmount.milliseconds(250)
    static let lingerTime = TimeAmount.seconds(1)

    let side: ConnectionStateMachine.Side
    let limits: ConnectionLimits
    let owner: any ConnectionOwner
    let link: ConnectionLink
    let identity: LocalEndpoint
    let logger: Logger
    var machine: ConnectionStateMachine?
    var negotiated: NegotiatedLimits?
    var peer: PeerIdentity?
    var streams: [UInt32: LoopStream] = [:]
    /// Calls that were opened and have sent nothing yet, with their timeouts.
    var newcomers: [ObjectIdentifier: (stream: CallStream, timeout: Duration?)] = [:]
    var line = CircularBuffer<UInt32>()
    var output = ByteBuffer()
    /// Storage that takes the place of `output` while that is being written.
    private var spare = ByteBuffer()
    var channelContext: ChannelHandlerContext?
    var ticker: RepeatedTask?
    var failure: RPCError?
    var isLingering = false
    var lastProgress = ContinuousClock.now

    init(
        side: ConnectionStateMachine.Side,
        limits: ConnectionLimits,
        identity: LocalEndpoint,
        owner: any ConnectionOwner,
        link: ConnectionLink,
        logger: Logger
    ) {
        self.side = side
        self.limits = limits
        self.identity = identity
        self.owner = owner
        self.link = link
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        channelContext = context
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        link.onWork { bound.value.work() }
        let started = ContinuousClock.now
        ticker = context.eventLoop.scheduleRepeatedTask(
            initialDelay: Self.tickInterval,
            delay: Self.tickInterval
        ) { _ in bound.value.tick(since: started) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ticker?.cancel()
        channelContext = nil
        link.end(failure ?? RPCError(.unavailable, "the connection is closed"))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let outcome as TLSHandshakeOutcome: take(outcome)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard machine != nil, failure == nil else { return }
        machine?.receive(unwrapInboundIn(data))
        obey(ContinuousClock.now)
    }

    func channelReadComplete(context: ChannelHandlerContext) { pump() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { pump() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let reason = SocketFault.text(of: error)
        close(RPCError(.unavailable, "the connection broke: \(reason)", category: .reconnect))
    }

    func channelInactive(context: ChannelHandlerContext) {
        ticker?.cancel()
        end(
            failure
                ?? RPCError(.unavailable, "the peer closed the connection", category: .reconnect)
        )
    }

    /// Obeys the machine until it has nothing more to say.
    func obey(_ now: ContinuousClock.Instant) {
        while failure == nil, let action = machine?.next(now: now) { obey(action) }
    }

    /// Writes `output` and what credit allows of the streams' frames.
    func pump() {
        guard let context = channelContext, !isLingering else { return }
        while true {
            fillOutput(context)
            guard output.readableBytes > 0 else { return }
            let written = context.eventLoop.makePromise(of: Void.self)
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            written.futureResult.whenSuccess { bound.value.lastProgress = .now }
            // A flush may make the channel writable again, which enters this function anew: what is
            // being written must not be in `output` any more, or it would go out twice.
            var batch = output
            output = spare
            spare = ByteBuffer()
            context.writeAndFlush(wrapOutboundOut(batch), promise: written)
            // TLS has copied the bytes: the storage is ours alone again and serves once more.
            batch.clear()
            spare = batch
            guard context.channel.isWritable, !line.isEmpty, !isLingering else { return }
        }
    }

    private func fillOutput(_ context: ChannelHandlerContext) {
        guard machine != nil, failure == nil, let negotiated else { return }
        while output.readableBytes < Self.batchByteCount, context.channel.isWritable,
            let id = line.popFirst()
        {
            guard let entry = streams[id] else { continue }
            let before = entry.held.readableBytes
            let stop: ConnectionStateMachine.WriteStop
            do {
                stop =
                    try machine?.write(
                        &entry.held,
                        stream: id,
                        quantum: negotiated.frameByteCount,
                        into: &output
                    ) ?? .done
            } catch {
                return close(RPCError(.internal, "a frame of our own is malformed: \(error)"))
            }
            entry.stream.outbox.didSend(before - entry.held.readableBytes, spare: entry.takeSpare())
            guard machine?.isOpen(id) == true else {
                remove(id, .finished)
                continue
            }
            switch stop {
            case .done:
                entry.isInLine = entry.held.readableBytes > 0
                if entry.isInLine { line.append(id) }
            case .streamCredit:
                entry.isInLine = false
            case .connectionCredit:
                line.prepend(id)
                return
            }
        }
        obey(ContinuousClock.now)
    }
}
