internal import Foundation

@testable internal import Devices

/// Ranks that are threads of this process: what a message-passing library does, by copying.
final class ThreadRanks: RankGroup, @unchecked Sendable {
    // What is shared is `Meeting`, guarded by its condition.

    /// Where the ranks of a group wait for each other.
    private final class Meeting: @unchecked Sendable {
        let condition = NSCondition()
        var arrived: [Int: Any] = [:]
        var all: [Int: Any] = [:]
        var number = 0

        func meet<Value>(_ rank: Int, of count: Int, with value: Value) -> [Value] {
            condition.lock()
            defer { condition.unlock() }
            arrived[rank] = value
            let own = number
            if arrived.count == count {
                (all, arrived) = (arrived, [:])
                number += 1
                condition.broadcast()
            }
            while number == own { condition.wait() }
            return (0..<count).compactMap { all[$0] as? Value }
        }
    }

    let rank: Int
    let count: Int
    private let meeting: Meeting
    /// Begun, in order; a rank that finishes waits for the others' of the same number.
    private var pending: [ObjectIdentifier: Int] = [:]
    private let board: Board

    /// Exchanges by their number and rank.
    private final class Board: @unchecked Sendable {
        let condition = NSCondition()
        var exchanges: [Int: [Int: RankExchange]] = [:]
    }
    private var begun = 0

    private init(_ rank: Int, of count: Int, _ meeting: Meeting, _ board: Board) {
        (self.rank, self.count, self.meeting, self.board) = (rank, count, meeting, board)
    }

    /// Runs `body` on as many threads as there are ranks; what they return, by rank.
    static func run<Result: Sendable>(
        _ count: Int,
        _ body: @escaping @Sendable (ThreadRanks) throws -> Result
    ) throws -> [Result] {
        let (meeting, board) = (Meeting(), Board())
        let results = Results<Result>()
        let threads = (0..<count).map { rank in
            let ranks = ThreadRanks(rank, of: count, meeting, board)
            let thread = Thread { results.put(Swift.Result { try body(ranks) }, rank) }
            thread.stackSize = 8 << 20
            return thread
        }
        threads.forEach { $0.start() }
        return try results.wait(count).map { try $0.get() }
    }

    /// Runs what waits for ranks on a thread of its own, and none that tests share.
    static func apart<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    private final class Results<Value: Sendable>: @unchecked Sendable {
        private let condition = NSCondition()
        private var found: [Int: Swift.Result<Value, any Error>] = [:]

        func put(_ result: Swift.Result<Value, any Error>, _ rank: Int) {
            condition.withLock {
                found[rank] = result
                condition.broadcast()
            }
        }

        func wait(_ count: Int) -> [Swift.Result<Value, any Error>] {
            condition.withLock {
                while found.count < count { condition.wait() }
                return (0..<count).compactMap { found[$0] }
            }
        }
    }

    func begin(_ exchange: RankExchange) {
        board.condition.withLock {
            board.exchanges[begun, default: [:]][rank] = exchange
            board.condition.broadcast()
        }
        pending[ObjectIdentifier(exchange)] = begun
        begun += 1
    }

    func advance(_ exchange: RankExchange) {}

    func finish(_ exchange: RankExchange) {
        guard let number = pending.removeValue(forKey: ObjectIdentifier(exchange)) else {
            preconditionFailure("an exchange that was not begun")
        }
        let all = board.condition.withLock {
            while board.exchanges[number]?.count != count { board.condition.wait() }
            return board.exchanges[number] ?? [:]
        }
        for (source, other) in all where source != rank {
            let part = other.values.part(exchange.parts[rank])
            let row = exchange.incoming(from: source, to: rank)
            row.floats.update(from: part.floats, count: part.count)
        }
        // The others' values stay until all have read them.
        _ = meeting.meet(rank, of: count, with: ())
    }

    func share(_ exchange: RankExchange) {
        let all = meeting.meet(rank, of: count, with: exchange)
        for (source, other) in all.enumerated() where source != rank {
            let part = exchange.parts[source]
            exchange.values.part(part).floats.update(
                from: other.values.part(part).floats,
                count: part.count
            )
        }
        _ = meeting.meet(rank, of: count, with: ())
    }

    func sum(_ values: UnsafeMutableBufferPointer<Double>) {
        let all = meeting.meet(rank, of: count, with: Array(values))
        for index in values.indices { values[index] = all.reduce(0) { $0 + $1[index] } }
    }

    func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {
        let all = meeting.meet(rank, of: count, with: Array(bytes))
        bytes.copyBytes(from: all[0])
    }

    func collect(_ tensor: DeviceTensor, parts: [Range<Int>]) {
        move(tensor) { all in
            guard rank == 0 else { return }
            for (source, part) in parts.enumerated() where source > 0 {
                copy(all[source], to: tensor, part)
            }
        }
    }

    func spread(_ tensor: DeviceTensor, parts: [Range<Int>]) {
        move(tensor) { all in
            if rank > 0 { copy(all[0], to: tensor, parts[rank]) }
        }
    }

    private func move(_ tensor: DeviceTensor, _ body: ([DeviceTensor]) -> Void) {
        body(meeting.meet(rank, of: count, with: tensor))
        _ = meeting.meet(rank, of: count, with: ())
    }

    private func copy(_ source: DeviceTensor, to target: DeviceTensor, _ part: Range<Int>) {
        let unit = target.type.byteCount
        (target.address + part.lowerBound * unit).copyMemory(
            from: source.address + part.lowerBound * unit,
            byteCount: part.count * unit
        )
    }
}
