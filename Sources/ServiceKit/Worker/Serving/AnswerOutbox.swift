internal import Protocol
internal import Serving
internal import Synchronization

/// What a replica has told and the gateway was not told yet, in order.
///
/// It is bounded by what the replica was asked for: nobody is asked for more than fits in its places.
final class AnswerOutbox: Sendable {
    /// What one call carries.
    struct Batch {
        var answers: [ReplicaAnswer] = []
        var report: ReplicaReport?
    }

    private struct State {
        var answers: [ReplicaAnswer] = []
        var report: ReplicaReport?
        /// Where it is said that something is there; nil while nobody tells it.
        var due: AsyncStream<Void>.Continuation?
        var isClosed = false
    }

    /// Answers of a call: each with likelihoods may hold hundreds of values.
    private static let countLimit = 128
    /// Bytes of a call's answers, well below those of a message; one answer alone goes whatever it has.
    private static let byteLimit = 96 << 10

    private let state = Mutex(State())

    /// Whether nothing more comes.
    var isClosed: Bool { state.withLock { $0.isClosed } }

    func add(_ news: ReplicaNews) {
        state.withLock { state in
            state.answers += news.answers
            state.report = news.report ?? state.report
            state.due?.yield()
        }
    }

    /// Begins to say when something is there, to one listener; what was there before is given up.
    func open() -> AsyncStream<Void> {
        let (stream, due) = AsyncStream.makeStream(
            of: Void.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        state.withLock { state in
            state.answers = []
            state.due = due
            due.yield()
            if state.isClosed { due.finish() }
        }
        return stream
    }

    /// Nothing more will come; what is there is told still.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.due?.yield()
            state.due?.finish()
        }
    }

    /// What goes next; nil if nothing is there.
    func take() -> Batch? {
        state.withLock { state in
            guard !state.answers.isEmpty || state.report != nil else { return nil }
            var bytes = 0
            let fitting = state.answers.prefix(Self.countLimit).prefix { answer in
                bytes += answer.byteEstimate
                return bytes <= Self.byteLimit
            }
            let count = min(max(1, fitting.count), state.answers.count)
            let batch = Batch(answers: Array(state.answers.prefix(count)), report: state.report)
            state.answers.removeFirst(count)
            state.report = nil
            return batch
        }
    }
}

extension ReplicaAnswer {
    /// About what it takes on the wire; no less.
    fileprivate var byteEstimate: Int {
        switch content {
        case .answer(.text(_, let text, let tokens)):
            tokens.reduce(32 + text.utf8.count) { sum, token in
                token.alternatives.reduce(sum + 24 + token.bytes.count) { $0 + 24 + $1.bytes.count }
            }
        case .answer: 256
        case .tokens(let tokens): 32 + 4 * tokens.count
        case .over: 16
        case .refused(let refusal): 32 + refusal.message.utf8.count
        }
    }
}
