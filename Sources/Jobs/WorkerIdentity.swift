/// Which worker: its role and its instance's name, both from its certificate.
public struct WorkerIdentity: Sendable, Hashable, CustomStringConvertible {
    /// What it is.
    public let role: Role
    /// Its name, unique within the role.
    public let instance: String

    /// An identity of its parts.
    public init(role: Role, instance: String) {
        self.role = role
        self.instance = instance
    }

    /// `train/train-1`.
    public var description: String { "\(role.rawValue)/\(instance)" }
}

/// Who holds a lease: a worker, and which of its processes.
public struct LeaseHolder: Sendable, Hashable {
    /// The worker.
    public let worker: WorkerIdentity
    /// Which process of it: changes with every start.
    public let boot: String

    /// A holder of its parts.
    public init(worker: WorkerIdentity, boot: String) {
        self.worker = worker
        self.boot = boot
    }
}

/// What a caller shows to write under a lease.
public struct LeaseClaim: Sendable, Hashable {
    /// The lease's number, as it was handed out.
    public let epoch: Int64
    /// Who calls.
    public let holder: LeaseHolder

    /// A claim of its parts.
    public init(epoch: Int64, holder: LeaseHolder) {
        self.epoch = epoch
        self.holder = holder
    }
}
