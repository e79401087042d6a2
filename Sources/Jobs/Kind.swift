/// What a job does; the raw values stand in job files and go over the wire.
public enum Kind: String, Sendable, CaseIterable, Codable {
    /// Rounds a model after training.
    case quantize
    /// Trains a model under quantization.
    case train
    /// Measures models side by side.
    case evaluate
    /// Keeps a model loaded and answers requests with it until it is ended.
    case serve

    /// The role whose workers run jobs of this kind.
    public var role: Role {
        switch self {
        case .quantize: .quant
        case .train: .train
        case .evaluate, .serve: .eval
        }
    }
}

/// What a daemon is in the suite; the raw values stand in certificates and go over the wire.
public enum Role: String, Sendable, CaseIterable, Codable {
    /// Takes jobs and keeps what must last.
    case gateway
    /// Runs `quantize` jobs.
    case quant
    /// Runs `train` jobs.
    case train
    /// Runs `evaluate` and `serve` jobs.
    case eval

    /// The kinds of job that its workers may run; none for the gateway.
    public var kinds: [Kind] { Kind.allCases.filter { $0.role == self } }

    /// Whether daemons of this role take leases.
    public var isWorker: Bool { !kinds.isEmpty }
}
