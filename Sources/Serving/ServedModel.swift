/// A model that is served.
public struct ServedModel: Sendable, Equatable {
    /// What callers name it by.
    public var name: String
    /// The serve job; the newest of several replicas.
    public var job: String
    /// Who submitted it.
    public var owner: String
    /// Seconds since 1970 when it was first served.
    public var created: Int64
    /// Tokens of prompt and answer together.
    public var length: Int
    /// Replicas that take requests.
    public var readyReplicas: Int
    /// Replicas that are there, those that drain included.
    public var replicas: Int

    /// A model of its parts.
    public init(
        name: String,
        job: String,
        owner: String,
        created: Int64,
        length: Int,
        readyReplicas: Int,
        replicas: Int
    ) {
        self.name = name
        self.job = job
        self.owner = owner
        self.created = created
        self.length = length
        self.readyReplicas = readyReplicas
        self.replicas = replicas
    }
}
