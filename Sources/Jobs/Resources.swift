/// The machines a job asks for.
public struct Resources: Sendable, Hashable {
    /// The kind of processor; `auto` takes any.
    public var accelerator: Accelerator
    /// Processors per node.
    public var devices: Int
    /// Nodes.
    public var nodes: Int
    /// Whether programs are run that a model wrote.
    public var runsCode: Bool

    /// A request; the defaults fit every worker.
    public init(
        accelerator: Accelerator = .auto,
        devices: Int = 1,
        nodes: Int = 1,
        runsCode: Bool = false
    ) {
        self.accelerator = accelerator
        self.devices = devices
        self.nodes = nodes
        self.runsCode = runsCode
    }

    /// The request as people say it: `accelerator gpu, 8 devices`; what every worker has is left out.
    public var description: String {
        var wants: [String] = []
        if accelerator != .auto, accelerator != .cpu {
            wants.append("accelerator \(accelerator.rawValue)")
        }
        if devices > 1 {
            wants.append("\(devices) devices")
        }
        if nodes > 1 {
            wants.append("\(nodes) nodes")
        }
        if runsCode {
            wants.append(Self.codeWords)
        }
        return wants.joined(separator: ", ")
    }

    /// What running programs of models is called, among what a job asks for and a worker offers.
    static let codeWords = "code execution"
}

/// A kind of processor.
public enum Accelerator: String, Sendable, CaseIterable, Codable {
    /// Whatever there is.
    case auto
    /// The host's processor.
    case cpu
    /// A graphics processor.
    case gpu

    /// Those that a worker may say it computes with.
    public static let offered = allCases.filter { $0 != .auto }
}

/// What a worker offers to jobs.
public struct Offer: Sendable, Hashable {
    /// Kinds of job it runs.
    public var kinds: [Kind]
    /// The kind of processor it computes with: `cpu` or `gpu`.
    public var accelerator: Accelerator
    /// Its processors.
    public var devices: Int
    /// The nodes it stands for.
    public var nodes: Int
    /// Whether its operator lets it run programs that a model wrote.
    public var runsCode: Bool

    /// An offer; the defaults are those of one host that computes with its processor.
    public init(
        kinds: [Kind],
        accelerator: Accelerator = .cpu,
        devices: Int = 1,
        nodes: Int = 1,
        runsCode: Bool = false
    ) {
        self.kinds = kinds
        self.runsCode = runsCode
        self.accelerator = accelerator
        self.devices = devices
        self.nodes = nodes
    }

    /// Whether a job of a kind, with its request, can run here.
    public func fits(_ kind: Kind, _ resources: Resources) -> Bool {
        kinds.contains(kind)
            && (resources.accelerator == .auto || resources.accelerator == accelerator)
            && resources.devices <= devices && resources.nodes <= nodes
            && (runsCode || !resources.runsCode)
    }

    /// The machines as people say it: `accelerator cpu, 1 device, 1 node`, and `code execution` where that is allowed.
    public var description: String {
        "accelerator \(accelerator.rawValue), \(devices) device\(devices == 1 ? "" : "s"), "
            + "\(nodes) node\(nodes == 1 ? "" : "s")"
            + (runsCode ? ", " + Resources.codeWords : "")
    }
}
