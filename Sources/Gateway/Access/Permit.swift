/// That a caller may have a long answer: asked when it begins, and again whenever the policy changed since.
///
/// Who loses the right to something gets no more of it, whether they call anew or not.
struct Permit: Sendable {
    private let policies: PolicyFile
    private let check: @Sendable () async throws -> Void
    /// The policy that was asked last.
    private var revision: UInt64

    /// Asks `check`, which throws what a new call would get.
    init(_ policies: PolicyFile, check: @escaping @Sendable () async throws -> Void) async throws {
        self = try await Self.asking(policies, check).permit
    }

    private init(
        policies: PolicyFile,
        revision: UInt64,
        check: @escaping @Sendable () async throws -> Void
    ) {
        self.policies = policies
        self.revision = revision
        self.check = check
    }

    /// Asks a question that throws what a new call would get, and hands back the first answer.
    static func asking<Answer: Sendable>(
        _ policies: PolicyFile,
        _ question: @escaping @Sendable () async throws -> Answer
    ) async throws -> (permit: Self, answer: Answer) {
        // Before the question: what changes while it is asked is asked about again.
        let revision = policies.revision
        let answer = try await question()
        let permit = Self(policies: policies, revision: revision) { _ = try await question() }
        return (permit, answer)
    }

    /// Asks again if the policy is another one.
    mutating func renew() async throws {
        let current = policies.revision
        guard current != revision else { return }
        try await check()
        revision = current
    }
}

/// What comes in for as long as its caller may bring it.
struct PermittedSequence<Base: AsyncSequence>: AsyncSequence where Base.Failure == any Error {
    typealias Element = Base.Element
    typealias Failure = any Error

    let base: Base
    let permit: Permit

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: base.makeAsyncIterator(), permit: permit)
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var base: Base.AsyncIterator
        fileprivate var permit: Permit

        mutating func next() async throws -> Base.Element? {
            let element = try await base.next()
            // After the wait, the end's included: what is complete is about to be kept.
            try await permit.renew()
            return element
        }
    }
}
