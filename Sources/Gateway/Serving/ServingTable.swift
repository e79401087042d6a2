internal import Jobs
internal import Protocol
internal import Serving

/// Which requests wait for which model, and which replica answers which: decides, and does nothing itself.
///
/// Each occurrence returns what is to be done about it, in order. Nothing here waits, and the clock is its
/// caller's.
struct ServingTable {
    typealias Instant = ContinuousClock.Instant

    /// How much is taken on.
    struct Limits {
        /// Requests that wait for a model.
        var queuedPerModel = 256
        /// Requests of a user that wait or are answered.
        var perUser = 128
        /// Bytes of requests that wait, of all models together.
        var queuedBytes = 32 << 20
        /// How long a request waits for a replica, and a model that has none is remembered.
        var wait = Duration.seconds(60)
        /// How long a replica may say nothing and still gets requests.
        var silence = Duration.seconds(60)
        /// Replicas that a request is handed to before something of its answer was told.
        var attempts = 2
    }

    /// Models of one name and owner: their replicas are alike.
    struct Service: Hashable, Comparable {
        let owner: String
        let name: String

        static func < (one: Service, other: Service) -> Bool {
            (one.name, one.owner) < (other.name, other.owner)
        }
    }

    /// What a service has.
    struct Standing {
        /// When it was first there, in seconds since 1970.
        let created: Int64
        /// Requests that wait, those that came first first.
        var waiting: [UInt64] = []
        /// When it lost its last replica; nil while it has one.
        var emptySince: Instant?
    }

    /// A replica that takes orders.
    struct Replica {
        let job: String
        let service: Service
        let claim: LeaseClaim
        /// Which of its calls it is: a later one takes an earlier one's place.
        let session: UInt64
        let slots: Int
        let length: Int
        var report = ReplicaReport()
        var heard: Instant
        /// The requests that it answers.
        var requests: Set<UInt64> = []
        /// Texts of theirs.
        var used = 0
        var firstText = DurationHistogram()
        /// Whether it gets no more, since it or the gateway ends.
        var isLeaving = false
    }

    /// A request that is not over.
    struct Request {
        let number: UInt64
        let service: Service
        let user: String
        let content: TextRequest
        /// Whether the prompt's tokens are asked for, and no answer.
        let asksForTokens: Bool
        let byteCount: Int
        let came: Instant
        /// The job of the replica that answers it; nil while it waits.
        var place: String?
        var attempts = 0
        var isAccepted = false
        var hasText = false

        /// Places that it takes.
        var weight: Int { asksForTokens ? 0 : content.count }
    }

    /// Something to be done.
    enum Action {
        case order(session: UInt64, ReplicaOrder)
        /// No more orders come.
        case leave(session: UInt64)
        case answer(UInt64, TextAnswer)
        case tokens(UInt64, [Int32])
        case finish(UInt64)
        case fail(UInt64, RPCError)
    }

    let limits: Limits
    var services: [Service: Standing] = [:]
    /// By job.
    var replicas: [String: Replica] = [:]
    var requests: [UInt64: Request] = [:]
    private var queuedBytes = 0
    private var isClosed = false

    init(limits: Limits = Limits()) { self.limits = limits }

    // MARK: Requests

    /// Takes a request.
    ///
    /// - Throws: ``RPCError`` (`resourceExhausted`, `unavailable`).
    mutating func add(_ request: Request, at now: Instant) throws(RPCError) -> [Action] {
        let name = request.service.name
        guard !isClosed else { throw Self.stopping }
        guard services[request.service] != nil else {
            throw RPCError(
                .notFound,
                "no model \(PlainText.quoted(name)) is served",
                processed: .no
            )
        }
        let own = requests.values.count { $0.user == request.user }
        guard own < limits.perUser else {
            throw Self.exhausted(
                "\(own) requests of \(request.user) are under way; that is the limit"
            )
        }
        let waiting = services[request.service]?.waiting.count ?? 0
        guard waiting < limits.queuedPerModel else {
            throw Self.exhausted("\(waiting) requests wait for model \(PlainText.quoted(name))")
        }
        guard queuedBytes + request.byteCount <= limits.queuedBytes else {
            throw Self.exhausted("\(queuedBytes) bytes of requests wait in the gateway")
        }
        requests[request.number] = request
        enqueue(request, atEnd: true)
        return dispatch(request.service, at: now)
    }

    /// Nobody waits for a request any more.
    mutating func remove(_ number: UInt64, at now: Instant) -> [Action] {
        guard let request = requests[number] else { return [] }
        var actions: [Action] = []
        if let replica = request.place.flatMap({ replicas[$0] }) {
            actions.append(.order(session: replica.session, ReplicaOrder(.cancel, number: number)))
        }
        forget(number)
        return actions + dispatch(request.service, at: now)
    }

    /// Gives up requests that have waited too long, and forgets models that have been gone so long.
    mutating func expire(at now: Instant) -> [Action] {
        var actions: [Action] = []
        for (service, standing) in services {
            for number in standing.waiting {
                guard let request = requests[number], now - request.came >= limits.wait else {
                    continue
                }
                let seconds = limits.wait.components.seconds
                let name = PlainText.quoted(service.name)
                let error =
                    isReady(service, at: now)
                    ? Self.exhausted("no place at model \(name) became free within \(seconds) s")
                    : Self.unavailable("no replica of model \(name) was ready within \(seconds) s")
                actions += fail(number, error)
            }
            if let since = standing.emptySince, now - since >= limits.wait {
                services[service] = nil
            }
        }
        return actions
    }

    /// A model is served no more: forgets it, and what waits for it, unless a replica has come meanwhile.
    mutating func giveUp(_ service: Service) -> [Action] {
        guard !hasReplica(service), let standing = services[service] else { return [] }
        let words = "model \(PlainText.quoted(service.name)) is served no more"
        let actions = standing.waiting.flatMap {
            fail($0, RPCError(.notFound, words, processed: .yes))
        }
        services[service] = nil
        return actions
    }

    // MARK: Replicas

    /// A replica takes orders from now on, in place of an earlier call of its job.
    mutating func connect(_ replica: Replica, created: Int64, at now: Instant) -> [Action] {
        var actions = replicas[replica.job].map { lose($0, at: now) } ?? []
        guard !isClosed else { return actions + [.leave(session: replica.session)] }
        replicas[replica.job] = replica
        services[replica.service, default: Standing(created: created)].emptySince = nil
        actions.append(.order(session: replica.session, ReplicaOrder(.begin)))
        return actions + dispatch(replica.service, at: now)
    }

    /// A replica's call has ended.
    mutating func disconnect(_ job: String, session: UInt64, at now: Instant) -> [Action] {
        guard let replica = replicas[job], replica.session == session else { return [] }
        return lose(replica, at: now)
    }

    private mutating func lose(_ replica: Replica, at now: Instant) -> [Action] {
        replicas[replica.job] = nil
        if !hasReplica(replica.service) {
            services[replica.service]?.emptySince = now
        }
        var actions: [Action] = [.leave(session: replica.session)]
        // What came first goes to the front last.
        for number in replica.requests.sorted(by: >) {
            let name = PlainText.quoted(replica.service.name)
            actions += retry(
                number,
                unless: """
                    the replica of model \(name) on \(replica.claim.holder.worker) (job \(replica.job)) was lost \
                    in the middle of this answer; what came of it stands, and the rest has to be asked for anew
                    """
            )
        }
        return actions + dispatch(replica.service, at: now)
    }

    /// Hands a request to another replica if nothing of its answer was told; fails it otherwise.
    private mutating func retry(_ number: UInt64, unless words: String) -> [Action] {
        guard var request = requests[number] else { return [] }
        guard !request.hasText, request.attempts < limits.attempts, !isClosed else {
            return fail(number, Self.unavailable(words))
        }
        leave(&request)
        requests[number] = request
        enqueue(request, atEnd: false)
        return []
    }

    /// A replica tells something; nil if it takes no orders, as the table sees it.
    mutating func hear(
        _ job: String,
        _ claim: LeaseClaim,
        _ answers: [ReplicaAnswer],
        _ report: ReplicaReport?,
        at now: Instant
    ) -> [Action]? {
        guard let replica = replicas[job], replica.claim == claim else { return nil }
        replicas[job]?.heard = now
        var actions: [Action] = []
        if let report {
            replicas[job]?.report = report
            if report.isDraining { replicas[job]?.isLeaving = true }
        }
        for answer in answers { actions += hear(answer, from: replica, at: now) }
        return actions + dispatch(replica.service, at: now)
    }

    private mutating func hear(
        _ answer: ReplicaAnswer,
        from replica: Replica,
        at now: Instant
    ) -> [Action] {
        let number = answer.number
        guard let request = requests[number], request.place == replica.job else {
            guard case .answer = answer.content else { return [] }
            // It does not know yet, or was not told.
            return [.order(session: replica.session, ReplicaOrder(.cancel, number: number))]
        }
        switch answer.content {
        case .answer(.accepted) where request.isAccepted: return []
        case .answer(let content):
            note(content, of: request, at: now)
            return [.answer(number, content)]
        case .tokens(let tokens):
            forget(number)
            return [.tokens(number, tokens)]
        case .over:
            forget(number)
            return [.finish(number)]
        case .refused(let refusal):
            switch refusal.reason {
            case .invalid:
                return fail(number, RPCError(.invalidArgument, refusal.message, processed: .yes))
            case .draining:
                replicas[replica.job]?.isLeaving = true
                // It is no fault of the request's.
                requests[number]?.attempts -= 1
                return retry(number, unless: refusal.message)
            case .failed: return fail(number, Self.unavailable(refusal.message))
            }
        }
    }

    private mutating func note(_ answer: TextAnswer, of request: Request, at now: Instant) {
        switch answer {
        case .accepted: requests[request.number]?.isAccepted = true
        case .text, .finished:
            guard !request.hasText else { return }
            requests[request.number]?.hasText = true
            request.place.map {
                replicas[$0]?.firstText.add((now - request.came) / .seconds(1))
            }
        }
    }

    /// Takes no more requests; those that are answered go on, those that wait do not.
    mutating func close() -> [Action] {
        isClosed = true
        var actions: [Action] = []
        for number in services.values.flatMap(\.waiting) { actions += fail(number, Self.stopping) }
        for job in replicas.keys { actions += leaveIfIdle(job) }
        return actions
    }

    private func leaveIfIdle(_ job: String) -> [Action] {
        guard isClosed, let replica = replicas[job], replica.requests.isEmpty else { return [] }
        return [.leave(session: replica.session)]
    }

    // MARK: Placing

    /// Whether a model has a replica, that drains perhaps.
    func hasReplica(_ service: Service) -> Bool {
        replicas.values.contains { $0.service == service }
    }

    /// Whether a model has a replica that takes requests.
    func isReady(_ service: Service, at now: Instant) -> Bool {
        replicas.values.contains { $0.service == service && isReady($0, at: now) }
    }

    /// Whether a replica takes requests.
    func isReady(_ replica: Replica, at now: Instant) -> Bool {
        !replica.isLeaving && now - replica.heard < limits.silence
    }

    private mutating func dispatch(_ service: Service, at now: Instant) -> [Action] {
        guard !isClosed else {
            return replicas.values.filter { $0.service == service }.flatMap { leaveIfIdle($0.job) }
        }
        var actions: [Action] = []
        while let number = next(service), var request = requests[number],
            let job = leastLoaded(service, for: request, at: now), let replica = replicas[job]
        {
            services[service]?.waiting.removeAll { $0 == number }
            queuedBytes -= request.byteCount
            request.place = job
            request.attempts += 1
            requests[number] = request
            replicas[job]?.requests.insert(number)
            replicas[job]?.used += request.weight
            let order = ReplicaOrder(
                request.asksForTokens ? .tokenize : .write,
                number: number,
                request: request.content
            )
            actions.append(.order(session: replica.session, order))
        }
        return actions
    }

    /// The request that goes next: the first of the user that has the fewest under way.
    private func next(_ service: Service) -> UInt64? {
        let waiting = services[service]?.waiting ?? []
        guard waiting.count > 1 else { return waiting.first }
        var running: [String: Int] = [:]
        for request in requests.values where request.place != nil {
            running[request.user, default: 0] += request.weight
        }
        return waiting.enumerated().min { one, other in
            func rank(_ number: UInt64) -> Int {
                requests[number].map { running[$0.user, default: 0] } ?? 0
            }
            return (rank(one.element), one.offset) < (rank(other.element), other.offset)
        }?.element
    }

    /// The ready replica with the smallest share of its places taken, of those with room; one that does nothing
    /// has room for anything.
    private func leastLoaded(_ service: Service, for request: Request, at now: Instant) -> String? {
        func share(_ replica: Replica) -> Double { Double(replica.used) / Double(replica.slots) }
        return replicas.values.filter { replica in
            replica.service == service && isReady(replica, at: now)
                && (replica.used == 0 || replica.used + request.weight <= replica.slots)
        }.min { (share($0), $0.job) < (share($1), $1.job) }?.job
    }

    private mutating func enqueue(_ request: Request, atEnd: Bool) {
        let place = atEnd ? services[request.service]?.waiting.count ?? 0 : 0
        services[request.service]?.waiting.insert(request.number, at: place)
        queuedBytes += request.byteCount
    }

    private mutating func leave(_ request: inout Request) {
        guard let job = request.place else { return }
        if replicas[job]?.requests.remove(request.number) != nil {
            replicas[job]?.used -= request.weight
        }
        request.place = nil
    }

    private mutating func forget(_ number: UInt64) {
        guard var request = requests.removeValue(forKey: number) else { return }
        if request.place != nil {
            leave(&request)
        } else {
            services[request.service]?.waiting.removeAll { $0 == number }
            queuedBytes -= request.byteCount
        }
    }

    private mutating func fail(_ number: UInt64, _ error: RPCError) -> [Action] {
        forget(number)
        return [.fail(number, error)]
    }

    // MARK: Refusals

    private static let stopping = unavailable("the gateway is stopping")

    private static func unavailable(_ words: String) -> RPCError {
        RPCError(.unavailable, words, processed: .yes, retryAfter: .seconds(1))
    }

    private static func exhausted(_ words: String) -> RPCError {
        RPCError(
            .resourceExhausted,
            "\(words); try again later",
            processed: .no,
            retryAfter: .seconds(2)
        )
    }
}
