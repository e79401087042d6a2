internal import Synchronization

/// Tells the operator what is wrong with what is stored, each sentence once: whoever comes upon it goes on,
/// and comes upon it again.
final class Remarks: Sendable {
    /// Sentences that are remembered; above, they are told again.
    private static let limit = 1_000

    private let told = Mutex<Set<String>>([])
    private let write: @Sendable (String) -> Void

    /// Remarks that go to `write`.
    init(_ write: @escaping @Sendable (String) -> Void) {
        self.write = write
    }

    func tell(_ sentence: String) {
        let isNew = told.withLock { told in
            if told.count >= Self.limit { told = [] }
            return told.insert(sentence).inserted
        }
        if isNew { write(sentence) }
    }
}
