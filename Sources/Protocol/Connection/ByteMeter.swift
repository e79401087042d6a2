internal import Synchronization

/// Bytes that all streams of one connection hold together.
final class ByteMeter: Sendable {
    private let total = Atomic<Int>(0)

    /// The bytes held now.
    var byteCount: Int { total.load(ordering: .relaxed) }

    /// More are held, or fewer if negative.
    func add(_ byteCount: Int) {
        total.add(byteCount, ordering: .relaxed)
    }
}
