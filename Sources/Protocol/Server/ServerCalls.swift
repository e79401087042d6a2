internal import Jobs
internal import Logging
internal import NIOCore
internal import Synchronization

/// Runs the calls of one server connection: finds the route, checks the caller, starts the task.
final class ServerCalls: ConnectionOwner {
    private let router: RPCRouter
    private let activity: ServerActivity
    private let logger: Logger
    private let clock = ContinuousClock()
    private let denials = NoteLimit()
    /// What every call is told, of a connection that is one too many.
    private let refusal = Mutex<RPCError?>(nil)
    /// How long such a connection is kept for the first call that is told so.
    private static let patience = Duration.seconds(5)

    init(router: RPCRouter, activity: ServerActivity, logger: Logger) {
        self.router = router
        self.activity = activity
        self.logger = logger
    }

    func admit(_ peer: PeerIdentity) throws {}

    func ready(_ link: ConnectionLink, _ limits: NegotiatedLimits, peer: PeerIdentity) {
        guard activity.opened(link, by: peer) else {
            if let note = activity.refusals.note(at: clock.now) {
                logger.warning("connection refused\(note): too many", metadata: ["peer": "\(peer)"])
            }
            return refuse(link, peer)
        }
        logger.debug("client connected", metadata: ["peer": "\(peer)"])
    }

    /// A connection that is closed at once tells nobody why: it stays for one call, which is told.
    private func refuse(_ link: ConnectionLink, _ peer: PeerIdentity) {
        let error = RPCError(
            .resourceExhausted,
            "\(peer) has as many connections as it may; end some of what it follows (watch, wait, logs) first",
            processed: .no
        )
        refusal.withLock { $0 = error }
        Task { [clock] in
            try? await clock.sleep(for: Self.patience)
            link.close(error)
        }
    }

    func open(
        _ stream: CallStream,
        _ envelope: CallEnvelope,
        peer: PeerIdentity
    ) -> Task<Void, Never>? {
        let timeout = Duration.milliseconds(Int64(clamping: envelope.timeoutMs))
        let link = stream.link
        let context = CallContext(
            peer: peer,
            deadline: envelope.timeoutMs == 0 ? nil : clock.now + timeout,
            method: envelope.method,
            callID: Self.hex(envelope.callID),
            isConnected: { link.isOpen }
        )
        do {
            if let refusal = refusal.withLock({ $0 }) { throw refusal }
            let route = try route(envelope, peer)
            try begin(route, peer, link)
            // The bridge from the event loop's callback to the handler's task.
            return Task { await self.run(route, stream, context) }
        } catch {
            fail(stream, error, context)
            stream.link.handlerReturned(stream)
            // Said once, it has served its purpose.
            if refusal.withLock({ $0 }) != nil { link.drain() }
            return nil
        }
    }

    /// Counts a call; who is refused often is named in the log, for others are refused for their sake.
    private func begin(
        _ route: RPCRouter.Route,
        _ peer: PeerIdentity,
        _ link: ConnectionLink
    ) throws {
        do {
            try activity.callBegins(by: peer, in: route.lane, on: ObjectIdentifier(link))
        } catch {
            if let note = denials.note(at: clock.now) {
                logger.notice(
                    "call refused\(note): too many",
                    metadata: [
                        "peer": "\(peer)", "reason": "\(RPCError(handlerError: error).message)",
                        "most": "\(activity.busiestUser(in: route.lane) ?? "")",
                    ]
                )
            }
            throw error
        }
    }

    func goAway(_ notice: GoAway) {}

    func closed(_ error: RPCError) {
        logger.debug("client disconnected", metadata: ["reason": "\(error.message)"])
    }

    /// Deny by default: an unknown method, a caller its rule does not name, and a name borrowed
    /// by anyone but a gateway are refused before a handler runs.
    private func route(_ envelope: CallEnvelope, _ peer: PeerIdentity) throws -> RPCRouter.Route {
        guard let route = router.routes[envelope.method] else {
            throw RPCError(
                .unimplemented,
                "there is no method \(envelope.method) here",
                processed: .no
            )
        }
        guard route.allow.admits(peer) else {
            noteDenial(of: envelope, by: peer, "callers of its role may not")
            throw RPCError(
                .permissionDenied,
                "\(peer) may not call \(envelope.method)",
                processed: .no
            )
        }
        guard envelope.onBehalfOf.isEmpty || peer.role == Role.gateway.rawValue else {
            noteDenial(of: envelope, by: peer, "only a gateway acts on behalf of others")
            throw RPCError(
                .permissionDenied,
                "\(peer) may not act on behalf of others",
                processed: .no
            )
        }
        guard envelope.timeoutMs > 0 || !route.needsDeadline else {
            throw RPCError(
                .invalidArgument,
                "\(envelope.method) is a unary call, which needs a timeout",
                processed: .no
            )
        }
        return route
    }

    private func noteDenial(of envelope: CallEnvelope, by peer: PeerIdentity, _ rule: String) {
        if let onDenial = router.onDenial { return onDenial(peer, envelope.method, rule) }
        guard let note = denials.note(at: clock.now) else { return }
        logger.notice(
            "call denied\(note)",
            metadata: ["method": "\(envelope.method)", "peer": "\(peer)", "rule": "\(rule)"]
        )
    }

    private func run(
        _ route: RPCRouter.Route,
        _ stream: CallStream,
        _ context: CallContext
    ) async {
        do {
            try await route.handle(stream, context)
        } catch {
            fail(stream, error, context)
        }
        stream.link.handlerReturned(stream)
        activity.handlerReturned()
        // An answer that nobody reads keeps its place.
        await stream.outbox.waitUntilOver()
        activity.callEnded(by: context.peer, in: route.lane, on: ObjectIdentifier(stream.link))
    }

    private func fail(_ stream: CallStream, _ error: any Error, _ context: CallContext) {
        let failure = RPCError(handlerError: error)
        if failure.code == .internal {
            logger.error(
                "handler failed",
                metadata: [
                    "method": "\(context.method)", "call": "\(context.callID)",
                    "error": "\(failure.message)",
                ]
            )
        }
        do {
            try stream.finish(failure.status, reply: CallStatus?.none)
        } catch {
            // The caller or the connection is gone; there is nobody left to tell.
            logger.trace("status not sent", metadata: ["error": "\(error)"])
        }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self
        )
    }
}
