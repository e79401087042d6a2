/// What a replica is to do.
public struct ReplicaOrder: Sendable, Equatable, Codable {
    /// What about a request.
    public enum Action: UInt32, Sendable, Codable, CaseIterable {
        /// Nothing: orders begin, and whatever was asked for before is nobody's any more.
        case begin = 1
        /// Answer it.
        case write
        /// Tell the tokens of its prompt.
        case tokenize
        /// Give it up: nobody waits for it.
        case cancel
    }

    /// What to do.
    public var action: Action
    /// The request's number; never used twice.
    public var number: UInt64
    /// The request, of those that have one.
    public var request: TextRequest?

    /// An order of its parts.
    public init(_ action: Action, number: UInt64 = 0, request: TextRequest? = nil) {
        self.action = action
        self.number = number
        self.request = request
    }
}

/// What a replica tells of one request.
public struct ReplicaAnswer: Sendable, Equatable, Codable {
    /// What it tells.
    public enum Content: Sendable, Equatable, Codable {
        /// Something of the answer.
        case answer(TextAnswer)
        /// The tokens of the prompt; nothing follows.
        case tokens([Int32])
        /// All answers have ended; nothing follows.
        case over
        /// Why it is not answered, or not to its end; nothing follows.
        case refused(ReplicaRefusal)
    }

    /// The request's number.
    public var number: UInt64
    /// What is told.
    public var content: Content

    /// An answer of its parts.
    public init(_ number: UInt64, _ content: Content) {
        self.number = number
        self.content = content
    }
}

/// Why a replica does not answer a request.
public struct ReplicaRefusal: Sendable, Equatable, Codable {
    /// Whose matter it is.
    public enum Reason: UInt32, Sendable, Codable, CaseIterable {
        /// The request cannot be answered by this model, whenever it comes.
        case invalid = 1
        /// The replica takes no requests any more; another may.
        case draining
        /// The model failed.
        case failed
    }

    /// Whose matter it is.
    public var reason: Reason
    /// What is wrong, in a sentence.
    public var message: String

    /// A refusal of its parts.
    public init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

/// What a replica's process tells its daemon: what became known by one pass, or how it stands.
public struct ReplicaNews: Sendable, Equatable, Codable {
    /// Of requests, in order.
    public var answers: [ReplicaAnswer]
    /// How the replica stands; nil if that was told shortly before.
    public var report: ReplicaReport?
    /// Texts that it takes at once, and tokens of each with its prompt.
    public var capacity: ReplicaCapacity?

    /// News of their parts.
    public init(
        answers: [ReplicaAnswer] = [],
        report: ReplicaReport? = nil,
        capacity: ReplicaCapacity? = nil
    ) {
        self.answers = answers
        self.report = report
        self.capacity = capacity
    }
}

/// How much a replica takes.
public struct ReplicaCapacity: Sendable, Equatable, Codable {
    /// Texts at once.
    public var slots: Int
    /// Tokens of a prompt and its answer together.
    public var length: Int

    /// A capacity of its parts.
    public init(slots: Int, length: Int) {
        self.slots = slots
        self.length = length
    }
}
