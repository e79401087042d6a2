internal import NIOCore
internal import Synchronization

/// What a server has going on: its connections, counted per host, and its running handlers.
final class ServerActivity: Sendable {
    private struct State {
        var connections: [ObjectIdentifier: ConnectionLink] = [:]
        var perHost: [String: Int] = [:]
        var perPeer: [PeerIdentity: Int] = [:]
        var peers: [ObjectIdentifier: PeerIdentity] = [:]
        /// Those that have not said HELLO yet, the oldest first.
        var openings: [(link: ConnectionLink, host: String)] = []
        /// Those above their names' limits, which are there to be told so, the oldest first.
        var surplus: [(link: ConnectionLink, peer: PeerIdentity)] = []
        var runningCalls = 0
        var lanes: [CallLane: Lane] = [:]
        /// Running streams by name and connection; of calls nobody asks.
        var streams: [PeerIdentity: [ObjectIdentifier: Int]] = [:]
        var isDraining = false
        var idleWaiter: CheckedContinuation<Void, Never>?
    }

    /// Calls that are counted together.
    private struct Lane {
        var perPeer: [PeerIdentity: Int] = [:]
        var ofUsers = 0
    }

    /// Notes of connections that are one too many: whoever opens them in a loop fills no log.
    let refusals = NoteLimit()
    private let limits: ConnectionLimits
    private let state = Mutex(State())

    init(limits: ConnectionLimits) { self.limits = limits }

    /// Whether one more connection from `host` fits; if so it is counted.
    ///
    /// Where a limit is reached, the oldest connection that has not said HELLO yet makes room: whoever
    /// opens connections and stays silent locks out nobody who speaks.
    func admit(_ link: ConnectionLink, from host: String) -> Bool {
        let (isAdmitted, evicted) = state.withLock { state -> (Bool, [ConnectionLink]) in
            guard !state.isDraining else { return (false, []) }
            var evicted: [ConnectionLink] = []
            let own = state.openings.count { $0.host == host }
            let isHostFull =
                own >= limits.openingsPerHost
                || state.perHost[host, default: 0] >= limits.connectionsPerHost
            if isHostFull {
                guard let first = state.openings.firstIndex(where: { $0.host == host }) else {
                    return (false, [])
                }
                evicted.append(Self.evict(first, &state))
            }
            if state.openings.count >= 4 * limits.openingsPerHost
                || state.connections.count - state.surplus.count >= limits.connections
            {
                guard !state.openings.isEmpty else { return (false, evicted) }
                evicted.append(Self.evict(0, &state))
            }
            state.connections[ObjectIdentifier(link)] = link
            state.perHost[host, default: 0] += 1
            state.openings.append((link, host))
            return (true, evicted)
        }
        let error = RPCError(.unavailable, "gave way to newer connections before HELLO")
        for link in evicted { link.close(error) }
        return isAdmitted
    }

    /// A connection has said HELLO, under a certificate's name.
    ///
    /// One that this name may not have any more counts for nothing, neither for its address nor among all; so few
    /// of these are kept at once, of each name and of all, that they are in nobody's way, and the oldest gives way.
    ///
    /// - Returns: Whether that name may have one more.
    func opened(_ link: ConnectionLink, by peer: PeerIdentity) -> Bool {
        let (isTaken, evicted) = state.withLock { state -> (Bool, [ConnectionLink]) in
            let place = state.openings.firstIndex { $0.link === link }
            // One that gave way is about to close.
            guard let place else { return (true, []) }
            let host = state.openings.remove(at: place).host
            guard state.perPeer[peer, default: 0] >= limits.connectionsPerPeer else {
                state.perPeer[peer, default: 0] += 1
                state.peers[ObjectIdentifier(link)] = peer
                return (true, [])
            }
            Self.leave(host, &state)
            state.surplus.append((link, peer))
            var evicted: [ConnectionLink] = []
            if state.surplus.count(where: { $0.peer == peer }) > limits.surplusPerPeer,
                let first = state.surplus.firstIndex(where: { $0.peer == peer })
            {
                evicted.append(Self.evict(surplus: first, &state))
            }
            if state.surplus.count > limits.surplus {
                evicted.append(Self.evict(surplus: 0, &state))
            }
            return (false, evicted)
        }
        let error = RPCError(.unavailable, "gave way to newer connections above a limit")
        for link in evicted { link.close(error) }
        return isTaken
    }

    /// Connections above their names' limits that are kept at this moment.
    var surplusCount: Int { state.withLock { $0.surplus.count } }

    private static func evict(surplus index: Int, _ state: inout State) -> ConnectionLink {
        let link = state.surplus.remove(at: index).link
        state.connections[ObjectIdentifier(link)] = nil
        return link
    }

    private static func evict(_ index: Int, _ state: inout State) -> ConnectionLink {
        let (link, host) = state.openings.remove(at: index)
        forget(link, host, &state)
        return link
    }

    private static func forget(_ link: ConnectionLink, _ host: String, _ state: inout State) {
        guard state.connections.removeValue(forKey: ObjectIdentifier(link)) != nil else { return }
        if let place = state.surplus.firstIndex(where: { $0.link === link }) {
            state.surplus.remove(at: place)
            return
        }
        leave(host, &state)
        if let peer = state.peers.removeValue(forKey: ObjectIdentifier(link)) {
            let left = state.perPeer[peer, default: 1] - 1
            state.perPeer[peer] = left == 0 ? nil : left
        }
    }

    /// One connection less counts for an address.
    private static func leave(_ host: String, _ state: inout State) {
        let left = state.perHost[host, default: 1] - 1
        state.perHost[host] = left == 0 ? nil : left
    }

    /// A connection that was admitted is gone.
    func remove(_ link: ConnectionLink, from host: String) {
        change { state in
            state.openings.removeAll { $0.link === link }
            Self.forget(link, host, &state)
        }
    }

    /// A handler is to begin for a caller, on one of its connections.
    ///
    /// - Throws: ``RPCError`` (`unavailable`, not processed) if as many run as may; it is not counted then.
    func callBegins(by peer: PeerIdentity, in lane: CallLane, on link: ObjectIdentifier) throws {
        let refusal: String? = state.withLock { state in
            let running = state.lanes[lane, default: Lane()]
            let own = running.perPeer[peer, default: 0]
            let links = state.streams[peer, default: [:]]
            // Whoever follows jobs in many windows can still ask and cancel in another.
            if lane == .streams, links[link] == nil, links.count >= limits.streamingConnections {
                return
                    "\(links.count) connections of \(peer) follow something; the others are for calls"
            }
            guard own < limits.callsPerPeer(lane) else {
                return "\(own) \(lane) of \(peer) run, on all its connections; that is the limit"
            }
            guard
                peer.role != nil || own < limits.reservedUserCalls
                    || running.ofUsers < limits.userCalls(lane)
            else {
                return "\(running.ofUsers) \(lane) of users run; that is the limit"
            }
            state.lanes[lane, default: Lane()].perPeer[peer] = own + 1
            if lane == .streams { state.streams[peer, default: [:]][link, default: 0] += 1 }
            if peer.role == nil { state.lanes[lane, default: Lane()].ofUsers += 1 }
            state.runningCalls += 1
            return nil
        }
        if let refusal { throw RPCError(.unavailable, refusal, processed: .no) }
    }

    /// The user with most running calls of a lane, and how many.
    func busiestUser(in lane: CallLane) -> String? {
        let perPeer = state.withLock { $0.lanes[lane]?.perPeer ?? [:] }
        return perPeer.filter { $0.key.role == nil }.max { $0.value < $1.value }
            .map { "\($0.key): \($0.value)" }
    }

    /// A handler has returned; its answer may wait to be sent.
    func handlerReturned() { change { $0.runningCalls -= 1 } }

    /// Nothing is left of a call.
    func callEnded(by peer: PeerIdentity, in lane: CallLane, on link: ObjectIdentifier) {
        state.withLock { state in
            let left = state.lanes[lane, default: Lane()].perPeer[peer, default: 1] - 1
            state.lanes[lane, default: Lane()].perPeer[peer] = left == 0 ? nil : left
            if lane == .streams {
                var links = state.streams[peer, default: [:]]
                let here = links[link, default: 1] - 1
                links[link] = here == 0 ? nil : here
                state.streams[peer] = links.isEmpty ? nil : links
            }
            if peer.role == nil { state.lanes[lane, default: Lane()].ofUsers -= 1 }
        }
    }

    /// Lets running calls finish and takes no more.
    func drain() {
        for link in links(draining: true) { link.drain() }
    }

    /// Closes every connection now.
    func closeAll(_ error: RPCError) {
        for link in links(draining: true) { link.close(error) }
    }

    /// Waits until no connection and no handler is left, or ``giveUp()``.
    func waitUntilIdle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.connections.isEmpty && state.runningCalls == 0 { return true }
                state.idleWaiter = continuation
                return false
            }
            if isIdle { continuation.resume() }
        }
    }

    /// Ends the wait although handlers still run; their number.
    func giveUp() -> Int {
        let (waiter, left) = state.withLock { ($0.idleWaiter.take(), $0.runningCalls) }
        waiter?.resume()
        return left
    }

    private func links(draining: Bool) -> [ConnectionLink] {
        state.withLock { state in
            state.isDraining = draining
            return Array(state.connections.values)
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            body(&state)
            guard state.connections.isEmpty && state.runningCalls == 0 else { return nil }
            return state.idleWaiter.take()
        }
        waiter?.resume()
    }
}

extension ConnectionLimits {
    fileprivate func callsPerPeer(_ lane: CallLane) -> Int {
        lane == .calls ? runningCallsPerPeer : runningStreamsPerPeer
    }

    /// Connections under one name on which streams run: a quarter of them is left for calls.
    fileprivate var streamingConnections: Int { connectionsPerPeer - connectionsPerPeer / 4 }

    fileprivate func userCalls(_ lane: CallLane) -> Int {
        lane == .calls ? runningUserCalls : runningUserStreams
    }
}
