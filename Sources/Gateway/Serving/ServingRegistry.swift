internal import Jobs
internal import Protocol
internal import Serving
internal import Synchronization

/// The requests and replicas of served models, and the streams by which they are reached.
///
/// ``ServingTable`` decides; here its decisions are carried out. Orders go out under the lock, so that one that
/// takes an order back never overtakes it; callers are told outside of it, since that may run code of theirs.
final class ServingRegistry: Sendable {
    /// What of a caller is known beside its request.
    private struct Waiter {
        let tell: @Sendable (Result<TextAnswer?, RPCError>) -> Bool
        let tellTokens: @Sendable ([Int32]) -> Void
        let isAllowed: @Sendable () -> Bool
    }

    private struct State {
        var table: ServingTable
        var waiters: [UInt64: Waiter] = [:]
        var orders: [UInt64: AsyncStream<ReplicaOrder>.Continuation] = [:]
        var lastNumber: UInt64
        var lastSession: UInt64 = 0
    }

    /// Answers that a caller may leave unread before it counts as gone.
    private static let unreadLimit = 8192

    private let state: Mutex<State>

    /// No requests and no replicas.
    init(limits: ServingTable.Limits = .init()) {
        let number = Self.drawnNumber()
        state = Mutex(State(table: ServingTable(limits: limits), lastNumber: number))
    }

    /// A number whose like no other process of the gateway is likely to have: replicas outlive one.
    private static func drawnNumber() -> UInt64 {
        UInt64.random(in: 1...UInt64(UInt32.max)) << 24
    }

    /// What is known at this moment.
    func look<Result>(_ body: (ServingTable) throws -> Result) rethrows -> Result {
        try state.withLock { try body($0.table) }
    }

    /// Asks a model's replicas for answers; the stream that is given up takes the request back.
    ///
    /// `isAllowed`: Asked again whenever the policy changes.
    ///
    /// - Throws: ``RPCError`` of a request that is not taken.
    func ask(
        _ content: TextRequest,
        of service: ServingTable.Service,
        by user: String,
        byteCount: Int,
        isAllowed: @escaping @Sendable () -> Bool
    ) throws -> AsyncThrowingStream<TextAnswer, any Error> {
        let (stream, input) = AsyncThrowingStream.makeStream(
            of: TextAnswer.self,
            throwing: (any Error).self,
            bufferingPolicy: .bufferingOldest(Self.unreadLimit)
        )
        let waiter = Waiter(
            tell: { answer in
                switch answer {
                case .success(let answer?):
                    if case .dropped = input.yield(answer) { return false }
                case .success(nil): input.finish()
                case .failure(let error): input.finish(throwing: error)
                }
                return true
            },
            tellTokens: { _ in },
            isAllowed: isAllowed
        )
        let number = try add(content, service, user, byteCount, asksForTokens: false, waiter)
        input.onTermination = { [weak self] reason in
            guard case .cancelled = reason else { return }
            self?.change { $0.remove(number, at: .now) }
        }
        return stream
    }

    /// Asks a replica for a prompt's tokens.
    ///
    /// - Throws: ``RPCError``, also of a prompt that is refused; `CancellationError`.
    func tokens(
        _ content: TextRequest,
        of service: ServingTable.Service,
        by user: String,
        byteCount: Int
    ) async throws -> [Int32] {
        let (stream, input) = AsyncThrowingStream.makeStream(of: [Int32].self)
        let waiter = Waiter(
            tell: { answer in
                if case .failure(let error) = answer { input.finish(throwing: error) }
                return true
            },
            tellTokens: { tokens in
                input.yield(tokens)
                input.finish()
            },
            isAllowed: { true }
        )
        let number = try add(content, service, user, byteCount, asksForTokens: true, waiter)
        defer { change { $0.remove(number, at: .now) } }
        for try await tokens in stream { return tokens }
        throw CancellationError()
    }

    private func add(
        _ content: TextRequest,
        _ service: ServingTable.Service,
        _ user: String,
        _ byteCount: Int,
        asksForTokens: Bool,
        _ waiter: Waiter
    ) throws(RPCError) -> UInt64 {
        let result = state.withLock { state -> Result<UInt64, RPCError> in
            state.lastNumber += 1
            let request = ServingTable.Request(
                number: state.lastNumber,
                service: service,
                user: user,
                content: content,
                asksForTokens: asksForTokens,
                byteCount: byteCount,
                came: .now
            )
            do throws(RPCError) {
                let actions = try state.table.add(request, at: .now)
                state.waiters[request.number] = waiter
                // Nothing but orders: nobody has answered yet.
                _ = Self.carryOut(actions, &state)
                return .success(request.number)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Takes a replica on; it gets orders until the stream is given up, or ends.
    func connect(
        job: String,
        _ service: ServingTable.Service,
        _ claim: LeaseClaim,
        _ capacity: ReplicaCapacity,
        created: Int64
    ) -> AsyncStream<ReplicaOrder> {
        let (stream, input) = AsyncStream.makeStream(of: ReplicaOrder.self)
        let session = state.withLock { state in
            state.lastSession += 1
            state.orders[state.lastSession] = input
            return state.lastSession
        }
        change { table in
            let replica = ServingTable.Replica(
                job: job,
                service: service,
                claim: claim,
                session: session,
                slots: max(1, capacity.slots),
                length: capacity.length,
                heard: .now
            )
            return table.connect(replica, created: created, at: .now)
        }
        input.onTermination = { [weak self] _ in
            self?.change { $0.disconnect(job, session: session, at: .now) }
        }
        return stream
    }

    /// A replica tells something; false if it gets no orders.
    func hear(
        _ job: String,
        _ claim: LeaseClaim,
        _ answers: [ReplicaAnswer],
        _ report: ReplicaReport?
    ) -> Bool {
        var isKnown = true
        change { table in
            let actions = table.hear(job, claim, answers, report, at: .now)
            isKnown = actions != nil
            return actions ?? []
        }
        return isKnown
    }

    /// Gives up what has waited too long.
    func expire() { change { $0.expire(at: .now) } }

    /// Gives up the requests that wait for a model whose last replica has ended for good.
    func giveUp(_ service: ServingTable.Service) { change { $0.giveUp(service) } }

    /// Takes no more requests, and lets replicas go that have nothing to answer.
    func close() { change { $0.close() } }

    /// Ends the answers of those who may not have them any more.
    func review() {
        let asked = state.withLock { $0.waiters }
        for (number, waiter) in asked where !waiter.isAllowed() {
            change { $0.remove(number, at: .now) }
            _ = waiter.tell(
                .failure(RPCError(.permissionDenied, "the policy does not allow this any more"))
            )
        }
    }

    private func change(_ body: (inout ServingTable) -> [ServingTable.Action]) {
        let told = state.withLock { state in
            let actions = body(&state.table)
            return Self.carryOut(actions, &state)
        }
        for tell in told {
            guard let number = tell() else { continue }
            // It reads nothing: what waits for it is bounded.
            change { $0.remove(number, at: .now) }
        }
    }

    /// Sends orders; returns what callers are to be told, in order, each of which returns a request whose caller
    /// does not read.
    private static func carryOut(
        _ actions: [ServingTable.Action],
        _ state: inout State
    ) -> [@Sendable () -> UInt64?] {
        var told: [@Sendable () -> UInt64?] = []
        for action in actions {
            switch action {
            case .order(let session, let order): state.orders[session]?.yield(order)
            case .leave(let session):
                // Its end is told outside: it may be waited for.
                guard let input = state.orders.removeValue(forKey: session) else { continue }
                told.append {
                    input.finish()
                    return nil
                }
            case .answer(let number, let answer):
                guard let waiter = state.waiters[number] else { continue }
                told.append { waiter.tell(.success(answer)) ? nil : Self.endUnread(number, waiter) }
            case .tokens(let number, let tokens):
                guard let waiter = state.waiters.removeValue(forKey: number) else { continue }
                told.append {
                    waiter.tellTokens(tokens)
                    return nil
                }
            case .finish(let number):
                guard let waiter = state.waiters.removeValue(forKey: number) else { continue }
                told.append {
                    _ = waiter.tell(.success(nil))
                    return nil
                }
            case .fail(let number, let error):
                guard let waiter = state.waiters.removeValue(forKey: number) else { continue }
                told.append {
                    _ = waiter.tell(.failure(error))
                    return nil
                }
            }
        }
        // Those that were taken back have no waiter any more.
        for number in state.waiters.keys where state.table.requests[number] == nil {
            state.waiters[number] = nil
        }
        return told
    }

    private static func endUnread(_ number: UInt64, _ waiter: Waiter) -> UInt64 {
        let words = "\(unreadLimit) pieces of the answer were not read: it is given up"
        _ = waiter.tell(.failure(RPCError(.resourceExhausted, words, processed: .yes)))
        return number
    }
}
