internal import Jobs
internal import Logging
internal import Protocol

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
    func user(_ context: CallContext) throws -> User {
        guard case .user(let name) = context.peer.subject else {
            throw denied(context, "is no user")
        }
        let policy = policy
        let isOperator = policy.operators.contains(name)
        guard policy.allows(context.method, to: isOperator ? "operator" : "user") else {
            throw denied(context, "no line of the policy allows this method")
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
    func worker(_ context: CallContext) throws -> WorkerIdentity {
        guard case .service(let name, let instance) = context.peer.subject,
            let role = Role(rawValue: name), role.isWorker
        else {
            throw denied(context, "is no worker")
        }
        guard policy.allows(context.method, to: role.rawValue) else {
            throw denied(context, "no line of the policy allows this method")
        }
        return WorkerIdentity(role: role, instance: instance)
    }

    /// A worker's process, which speaks for the instance in its certificate only.
    ///
    /// - Throws: ``RPCError`` (`permissionDenied`).
    func holder(
        boot: String,
        instance: String? = nil,
        _ context: CallContext
    ) throws -> LeaseHolder {
        let worker = try worker(context)
        if let instance, instance != worker.instance {
            throw denied(context, "may not speak for instance \(PlainText.quoted(instance))")
        }
        return LeaseHolder(worker: worker, boot: boot)
    }

    /// Checks that a user may have their way with a job of an owner.
    ///
    /// - Throws: ``StoreError`` (`notFound`) for a job that is not theirs to see: whether it exists
    ///   is nobody else's business; ``RPCError`` (`permissionDenied`) for one that is not theirs to
    ///   act on.
    func check(_ user: User, _ access: JobAccess, _ stored: StoredJob, _ context: CallContext)
        throws
    {
        guard user.name != stored.owner, !user.isOperator else { return }
        guard user.seesAll else {
            audit.deny(context, "job \(stored.job.id) is \(stored.owner)'s")
            throw StoreError(.notFound, "no job \(PlainText.quoted(stored.job.id))")
        }
        guard access == .see else {
            throw denied(context, "job \(stored.job.id) is \(stored.owner)'s")
        }
    }

    /// Notes a refusal and makes its error.
    func denied(_ context: CallContext, _ rule: String) -> RPCError {
        audit.deny(context, rule)
        return RPCError(
            .permissionDenied,
            "\(context.peer) may not call \(context.method): \(rule)",
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
    }

    private let write: @Sendable (Entry) -> Void

    /// A log whose lines go to `write`.
    init(write: @escaping @Sendable (Entry) -> Void) {
        self.write = write
    }

    /// A log within a daemon's.
    init(_ logger: Logger) {
        self.init { entry in
            logger.log(
                level: entry.isAllowed ? .info : .notice,
                "audit: \(entry.isAllowed ? "allowed" : "denied")",
                metadata: [
                    "method": "\(entry.method)", "peer": "\(entry.peer)", "rule": "\(entry.rule)",
                ]
            )
        }
    }

    func deny(_ context: CallContext, _ rule: String) {
        write(Entry(isAllowed: false, method: context.method, peer: "\(context.peer)", rule: rule))
    }

    func allow(_ context: CallContext, _ what: String) {
        write(Entry(isAllowed: true, method: context.method, peer: "\(context.peer)", rule: what))
    }
}
