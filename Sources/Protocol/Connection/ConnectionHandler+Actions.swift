internal import Logging
internal import NIOCore
internal import Synchronization

extension ConnectionHandler {
    /// Does one thing that the machine asks for.
    func obey(_ action: ConnectionStateMachine.Action) {
        switch action {
        case .send(let bytes): output.writeImmutableBuffer(bytes)
        case .ready(let limits, let bytes):
            negotiated = limits
            if let bytes { output.writeImmutableBuffer(bytes) }
            if let peer { owner.ready(link, limits, peer: peer) }
        case .open(let id, let envelope, let hasEnded): open(id, envelope, hasEnded)
        case .message(let id, let payload, let credit, let ends):
            guard let entry = streams[id] else { return }
            guard link.untaken.byteCount + payload.readableBytes <= limits.untakenByteCount else {
                let error = RPCError(
                    .resourceExhausted,
                    "\(link.untaken.byteCount) bytes wait for their handlers on one connection",
                    processed: .maybe
                )
                return end(id, error)
            }
            entry.stream.inbox.append(payload, credit: credit)
            if ends { entry.stream.inbox.finish(.finished) }
        case .end(let id): streams[id]?.stream.inbox.finish(.finished)
        case .finish(let id, let status):
            remove(id, RPCError(status).map { .failed($0) } ?? .finished)
        case .cancel(let id):
            remove(id, .failed(RPCError(.cancelled, "the caller cancelled", processed: .yes)))
        case .writable(let id): resume(id)
        case .goAway(let notice, let refused):
            let error = RPCError(
                .unavailable,
                "the server is shutting down",
                category: .reconnect,
                processed: .no
            )
            for id in refused { remove(id, .failed(error)) }
            owner.goAway(notice)
        case .close(let error, let bytes):
            if let bytes { output.writeImmutableBuffer(bytes) }
            close(error)
        }
    }

    /// Takes what became of the TLS handshake.
    func take(_ outcome: TLSHandshakeOutcome) {
        switch outcome {
        case .verified(let peer):
            do {
                try owner.admit(peer)
            } catch {
                return refuse(RPCError(handlerError: error))
            }
            self.peer = peer
            start(peer)
        case .refused(let error): refuse(error)
        case .failed(let error): close(error)
        }
        pump()
    }

    /// Passes the time: handshake and keepalive limits, and writes that do not move.
    func tick(since started: ContinuousClock.Instant) {
        guard failure == nil, let context = channelContext else { return }
        let now = ContinuousClock.now
        if machine == nil, now - started >= limits.handshakeTimeout {
            return close(RPCError(.unavailable, "the TLS handshake took too long"))
        }
        if context.channel.isWritable {
            lastProgress = now
        } else if now - lastProgress >= limits.pingTimeout {
            return close(RPCError(.unavailable, "the peer takes no more bytes"))
        }
        do {
            try machine?.tick(now: now)
        } catch {
            return close(RPCError(.internal, "\(error)"))
        }
        obey(now)
        pump()
    }

    /// Writes what stands in `output`, then closes; the peer gets a moment to read it.
    func close(_ error: RPCError) {
        guard failure == nil else { return }
        failure = error
        pump()
        isLingering = true
        end(error)
        guard let context = channelContext else { return }
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.lingerTime) { channel.close(promise: nil) }
    }

    /// Tells everybody that the connection is over.
    func end(_ error: RPCError) {
        if failure == nil { failure = error }
        let open = streams
        streams = [:]
        line.removeAll()
        for entry in open.values { release(entry, .failed(error)) }
        owner.closed(error)
    }

    /// Takes a stream out and ends it for its task.
    func remove(_ id: UInt32, _ end: CallInbox.End) {
        guard let entry = streams.removeValue(forKey: id) else { return }
        release(entry, end)
    }

    private func release(_ entry: LoopStream, _ end: CallInbox.End) {
        entry.deadline?.cancel()
        entry.stream.inbox.finish(end)
        switch end {
        case .failed(let error):
            entry.stream.outbox.fail(error)
            entry.task?.cancel()
        case .finished:
            entry.stream.outbox.fail(RPCError(.failedPrecondition, "the call is over"))
        }
    }

    private func start(_ peer: PeerIdentity) {
        var local = identity
        local.peer = peer.description
        let machine = ConnectionStateMachine(
            side: side,
            limits: limits,
            local: local,
            now: .now
        )
        self.machine = machine
        guard side == .client else { return }
        do {
            output.writeImmutableBuffer(try machine.opening())
        } catch {
            close(RPCError(handlerError: error))
        }
    }

    /// Says why over the established TLS session: an alert could not carry the sentence.
    private func refuse(_ error: RPCError) {
        let abort = Abort(code: AbortCode.unauthorized.rawValue, message: error.message)
        try? output.writeFrame(.abort, message: abort)
        close(error)
    }

    private func open(_ id: UInt32, _ envelope: CallEnvelope, _ hasEnded: Bool) {
        guard let negotiated, let peer else { return }
        let stream = CallStream(link: link, limits: negotiated)
        stream.number.store(id, ordering: .relaxed)
        if let message = envelope.message {
            stream.inbox.append(ByteBuffer(bytes: message), credit: 0)
        }
        if hasEnded { stream.inbox.finish(.finished) }
        let entry = LoopStream(stream: stream)
        if envelope.timeoutMs > 0 {
            let timeout = min(
                .milliseconds(Int64(clamping: envelope.timeoutMs)),
                ControlLimits.callTimeout
            )
            entry.deadline = schedule(after: timeout) { $0.expire(id) }
        }
        streams[id] = entry
        entry.task = owner.open(stream, envelope, peer: peer)
    }

    private func expire(_ id: UInt32) {
        end(id, RPCError(.deadlineExceeded, "the call's time ran out", processed: .maybe))
        obey(.now)
        pump()
    }

    /// Ends a call on this side's account, and tells the peer.
    private func end(_ id: UInt32, _ error: RPCError) {
        do {
            switch side {
            case .server: try machine?.finish(stream: id, with: error, into: &output)
            case .client: machine?.cancel(stream: id, reason: error.code, into: &output)
            }
        } catch {
            return close(RPCError(handlerError: error))
        }
        remove(id, .failed(error))
    }

    private func resume(_ id: UInt32?) {
        guard let id, let entry = streams[id], !entry.isInLine, entry.held.readableBytes > 0 else {
            return
        }
        entry.isInLine = true
        line.append(id)
    }

    private func schedule(
        after delay: Duration,
        _ body: @escaping (ConnectionHandler) -> Void
    ) -> Scheduled<Void>? {
        guard let loop = channelContext?.eventLoop else { return nil }
        let bound = NIOLoopBound(self, eventLoop: loop)
        let run = NIOLoopBound(body, eventLoop: loop)
        return loop.scheduleTask(in: TimeAmount(delay)) { run.value(bound.value) }
    }
}

extension ConnectionHandler {
    /// Does what tasks have asked for since the last turn.
    func work() {
        for item in link.takeWork() {
            switch item {
            case .send(let stream): collect(stream)
            case .open(let stream, let timeout):
                newcomers[ObjectIdentifier(stream)] = (stream, timeout)
            case .cancel(let stream, let error): cancel(stream, error)
            case .returned:
                machine?.handlerReturned()
                obey(.now)
            case .drain: drain()
            case .close(let error): close(error)
            }
        }
        pump()
    }

    private func collect(_ stream: CallStream) {
        if let newcomer = newcomers.removeValue(forKey: ObjectIdentifier(stream)) {
            number(stream, newcomer.timeout)
        }
        let id = stream.number.load(ordering: .relaxed)
        guard let entry = streams[id] else { return }
        let (frames, credit) = stream.outbox.take()
        machine?.grant(credit, stream: id, into: &output)
        entry.hold(frames)
        guard !entry.isInLine, entry.held.readableBytes > 0 else { return }
        entry.isInLine = true
        line.append(id)
    }

    /// Gives a new call its number, in the order in which calls have frames to send: the peer wants
    /// the numbers of its CALL frames to rise, and two tasks may open in one order and write in
    /// the other.
    private func number(_ stream: CallStream, _ timeout: Duration?) {
        guard failure == nil, let id = machine?.openStream() else {
            let error = RPCError(
                .unavailable,
                failure?.message ?? "the connection takes no more calls",
                category: .reconnect,
                processed: .no
            )
            stream.inbox.finish(.failed(error))
            return stream.outbox.fail(error)
        }
        stream.number.store(id, ordering: .relaxed)
        let entry = LoopStream(stream: stream)
        if let timeout { entry.deadline = schedule(after: timeout) { $0.expire(id) } }
        streams[id] = entry
    }

    private func cancel(_ stream: CallStream, _ error: RPCError) {
        if newcomers.removeValue(forKey: ObjectIdentifier(stream)) != nil {
            stream.inbox.finish(.failed(error))
            return stream.outbox.fail(error)
        }
        let id = stream.number.load(ordering: .relaxed)
        guard streams[id] != nil else { return }
        machine?.cancel(stream: id, reason: error.code, into: &output)
        remove(id, .failed(error))
        obey(.now)
    }

    private func drain() {
        do {
            try machine?.beginDrain(now: .now)
        } catch {
            return close(RPCError(handlerError: error))
        }
        if machine == nil { close(RPCError(.unavailable, "the server is shutting down")) }
        obey(.now)
    }
}
