internal import Jobs
internal import Logging
internal import Protocol
internal import Synchronization

/// Who calls, as far as jobs are concerned.
struct User: Sendable, Equatable {
    /// The name in the certificate.
    let name: String
    /// Whether everything is theirs.
    let isOperator: Bool
    /// Whether they see everybody's jobs.
    let seesAll: Bool

    /// The owner whose jobs alone they see, or nil.
    var onlyOwner: String? { seesAll ? nil : name }
}

/// What a user wants with a job.
enum JobAccess: Sendable {
    /// To look at it, its log and its outputs.
    case see
    /// To change its fate.
    case act
}

/// Turns a certificate into a caller that may do what it asks, or refuses; refusals and what
/// changes jobs stand in the audit log.
struct Authority: Sendable {
    let policies: PolicyFile
    let audit: AuditLog

    var policy: AccessPolicy { policies.policy }

    /// The user who calls.
    ///
    /// - Throws: ``RPCError`` (`permissionDenied`).
    func user(_ caller: Caller) throws -> User {
        guard case .user(let name) = caller.principal.identity.subject else {
            throw denied(caller, "is no user")
        }
        let policy = policy
        let isOperator = policy.operators.contains(name)
        guard policy.allows(caller.operation, to: isOperator ? "operator" : "user") else {
            throw denied(caller, "no line of the policy allows this method")
        }
        return User(
            name: name,
            isOperator: isOperator,
            seesAll: isOperator || policy.visibility == .all
        )
    }

    /// The worker that calls.
    ///
    /// - Throws: ``RPCError`` (`permissionDenied`).
    func worker(_ caller: Caller) throws -> WorkerIdentity {
        guard case .service(let name, let instance) = caller.principal.identity.subject,
            let role = Role(rawValue: name), role.isWorker
        else {
            throw denied(caller, "is no worker")
        }
        guard policy.allows(caller.operation, to: role.rawValue) else {
            throw denied(caller, "no line of the policy allows this method")
        }
        return WorkerIdentity(role: role, instance: instance)
    }

    /// Whether a caller, user, worker or the gateway's own probe, may ask what it asks.
    ///
    /// - Throws: ``RPCError`` (`permissionDenied`).
    func admit(_ caller: Caller) throws {
        switch caller.principal.identity.subject {
        case .user: _ = try user(caller)
        case .service(let name, _) where Role(rawValue: name)?.isWorker == false:
            guard policy.allows(caller.operation, to: name) else {
                throw denied(caller, "no line of the policy allows this method")
            }
        case .service: _ = try worker(caller)
        }
    }

    /// A worker's process, which speaks for the instance in its certificate only.
    ///
    /// - Throws: ``RPCError`` (`permissionDenied`).
    func holder(
        boot: String,
        instance: String? = nil,
        _ caller: Caller
    ) throws -> LeaseHolder {
        let worker = try worker(caller)
        if let instance, instance != worker.instance {
            throw denied(caller, "may not speak for instance \(PlainText.quoted(instance))")
        }
        return LeaseHolder(worker: worker, boot: boot)
    }

    /// Checks that a user may have their way with a job of an owner.
    ///
    /// - Throws: ``StoreError`` (`notFound`) for a job that is not theirs to see: whether it exists
    ///   is nobody else's business; ``RPCError`` (`permissionDenied`) for one that is not theirs to
    ///   act on.
    func check(
        _ user: User,
        _ access: JobAccess,
        job id: String,
        of owner: String,
        _ caller: Caller
    ) throws {
        guard user.name != owner, !user.isOperator else { return }
        guard user.seesAll else {
            audit.deny(caller, "job \(id) is \(owner)'s")
            throw StoreError(.notFound, "no job \(PlainText.quoted(id))")
        }
        guard access == .see else {
            throw denied(caller, "job \(id) is \(owner)'s")
        }
    }

    /// Notes a refusal and makes its error.
    func denied(_ caller: Caller, _ rule: String) -> RPCError {
        audit.deny(caller, rule)
        return RPCError(
            .permissionDenied,
            "\(caller.principal.identity) may not call \(caller.operation.rawValue): \(rule)",
            processed: .no
        )
    }
}

/// Who did or was refused what, as one log line each.
struct AuditLog: Sendable {
    /// One line.
    struct Entry: Sendable, Equatable {
        let isAllowed: Bool
        let method: String
        let peer: String
        let rule: String

        init(isAllowed: Bool, _ caller: Caller, _ rule: String) {
            self.init(
                isAllowed: isAllowed,
                method: caller.operation.rawValue,
                caller.principal.identity,
                rule
            )
        }

        init(isAllowed: Bool, method: String, _ peer: PeerIdentity, _ rule: String) {
            self.init(isAllowed: isAllowed, method: method, peer: "\(peer)", rule: rule)
        }

        init(isAllowed: Bool, method: String, peer: String, rule: String) {
            self.isAllowed = isAllowed
            self.method = method
            self.peer = peer
            self.rule = rule
        }
    }

    private let write: @Sendable (Entry) -> Void

    /// A log whose lines go to `write`.
    init(write: @escaping @Sendable (Entry) -> Void) {
        self.write = write
    }

    /// A log within a daemon's; what it leaves out of refusals, see ``DenialLimit``.
    init(_ logger: Logger) {
        let limit = DenialLimit()
        self.init { entry in
            guard let note = entry.isAllowed ? "" : limit.note(entry) else { return }
            logger.log(
                level: entry.isAllowed ? .info : .notice,
                "audit: \(entry.isAllowed ? "allowed" : "denied")\(note)",
                metadata: [
                    "method": "\(entry.method)", "peer": "\(entry.peer)", "rule": "\(entry.rule)",
                ]
            )
        }
    }

    func deny(_ caller: Caller, _ rule: String) {
        write(Entry(isAllowed: false, caller, rule))
    }

    /// A call that was refused before anybody looked at what it asks for.
    func deny(_ peer: PeerIdentity, method: String, _ rule: String) {
        write(Entry(isAllowed: false, method: method, peer, rule))
    }

    /// A call of somebody of whom no more than the address is known.
    func deny(address: String, method: String, _ rule: String) {
        write(Entry(isAllowed: false, method: method, peer: address, rule: rule))
    }

    func allow(_ caller: Caller, _ what: String) {
        write(Entry(isAllowed: true, caller, what))
    }
}

/// What of refusals stands in the log: of one peer for one reason the first, and then one a minute, and ten
/// a minute of one peer for all reasons; with how many were left out.
///
/// A process that is refused asks again every few seconds, for as long as nobody looks.
final class DenialLimit: Sendable {
    private struct Reason: Hashable {
        let peer: String
        let method: String
        let rule: String
    }

    private struct Limits {
        var reasons: [Reason: NoteLimit] = [:]
        var peers: [String: NoteLimit] = [:]
    }

    /// Reasons and peers that are counted for at once.
    private static let capacity = 1_000

    private let limits = Mutex(Limits())

    /// What to add to the line of a refusal, usually nothing; nil if there is to be none.
    func note(_ entry: AuditLog.Entry, at now: ContinuousClock.Instant = .now) -> String? {
        let reason = Reason(peer: entry.peer, method: entry.method, rule: entry.rule)
        let (ofReason, ofPeer) = limits.withLock { limits in
            // Names come from certificates of the own authority: there are not many. Reasons may name what a
            // peer made up, and then it is the peer's limit that holds.
            if limits.reasons.count > Self.capacity { limits.reasons = [:] }
            if limits.peers.count > Self.capacity { limits.peers = [:] }
            let ofReason = limits.reasons[reason] ?? NoteLimit(countPerMinute: 1)
            let ofPeer = limits.peers[entry.peer] ?? NoteLimit()
            limits.reasons[reason] = ofReason
            limits.peers[entry.peer] = ofPeer
            return (ofReason, ofPeer)
        }
        guard let alike = ofReason.note(at: now, of: " like it"), let others = ofPeer.note(at: now)
        else { return nil }
        return alike + others
    }
}
