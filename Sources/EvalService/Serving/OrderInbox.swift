internal import Dispatch
internal import Foundation
internal import Serving
internal import Synchronization

/// Orders that came and were not looked at yet: one thread puts them in, another takes them out.
///
/// The gateway asks for no more texts than fit, so that it is bounded.
final class OrderInbox: Sendable {
    private let orders = Mutex<[ReplicaOrder]>([])
    private let arrivals = DispatchSemaphore(value: 0)

    /// Puts in the order of a line.
    ///
    /// - Throws: `DecodingError` of a line that is none.
    func add(line: String) throws {
        add(try JSONDecoder().decode(ReplicaOrder.self, from: Data(line.utf8)))
    }

    func add(_ order: ReplicaOrder) {
        orders.withLock { $0.append(order) }
        arrivals.signal()
    }

    /// Takes what is there, in order; where nothing is, waits for something, so long at most.
    func take(waiting limit: Duration?) -> [ReplicaOrder] {
        var taken = takeAll()
        if taken.isEmpty, let limit {
            _ = arrivals.wait(timeout: .now() + (limit / .seconds(1)))
            taken = takeAll()
        }
        return taken
    }

    private func takeAll() -> [ReplicaOrder] {
        orders.withLock { orders in
            defer { orders = [] }
            return orders
        }
    }
}
