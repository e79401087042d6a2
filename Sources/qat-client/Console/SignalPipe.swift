internal import Foundation
internal import Synchronization

/// Signals of the process as streams.
///
/// A handler writes the signal's number into a pipe, a thread reads it there. Dispatch's signal sources
/// are no help here: on Linux a source that is made after an earlier one for the same signal was cancelled
/// gets nothing (Swift 6.3.1), and the signal, ignored as it has to be with them, ends nothing either.
final class SignalPipe: Sendable {
    private struct Listener {
        let numbers: Set<Int32>
        let hear: @Sendable (Int32) -> Void
    }

    private struct State {
        var listeners: [Int: Listener] = [:]
        var nextKey = 0
    }

    static let shared = SignalPipe()

    private let readEnd: Int32
    private let writeEnd: Int32
    private let state = Mutex(State())

    private init() {
        var ends: [Int32] = [-1, -1]
        let status = pipe(&ends)
        precondition(status == 0, "no pipe for signals: \(String(cString: strerror(errno)))")
        (readEnd, writeEnd) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        // A handler must never wait; whoever sends so many signals loses some of them.
        _ = fcntl(writeEnd, F_SETFL, O_NONBLOCK)
        Thread.detachNewThread { [self] in
            pass()
        }
    }

    /// The signals that arrive from now on while the stream is read; meanwhile they do nothing else.
    func signals(_ numbers: [Int32]) -> AsyncStream<Int32> {
        AsyncStream { continuation in
            let key = hear(numbers) { continuation.yield($0) }
            continuation.onTermination = { [self] _ in
                end(key)
            }
        }
    }

    /// Has `body` called with each signal that arrives from now on, in a thread of its own: for work that leaves no
    /// task a chance.
    ///
    /// - Returns: What ``end(_:)`` takes.
    func hear(_ numbers: [Int32], _ body: @escaping @Sendable (Int32) -> Void) -> Int {
        state.withLock { state in
            state.nextKey += 1
            state.listeners[state.nextKey] = Listener(numbers: Set(numbers), hear: body)
            for number in numbers {
                signal(number) { SignalPipe.shared.note($0) }
            }
            return state.nextKey
        }
    }

    /// Forgets a listener; signals that nobody waits for have their default action again.
    func end(_ key: Int) {
        state.withLock { state in
            guard let listener = state.listeners.removeValue(forKey: key) else {
                return
            }
            let awaited = state.listeners.values.reduce(into: Set()) { $0.formUnion($1.numbers) }
            for number in listener.numbers.subtracting(awaited) {
                signal(number, SIG_DFL)
            }
        }
    }

    /// Called in a signal handler: nothing but a write.
    private func note(_ number: Int32) {
        let code = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(writeEnd, &byte, 1)
        errno = code
    }

    private func pass() {
        var byte: UInt8 = 0
        while true {
            let count = read(readEnd, &byte, 1)
            guard count == 1 else {
                guard count < 0, errno == EINTR else {
                    return
                }
                continue
            }
            let number = Int32(byte)
            let listeners = state.withLock { state in
                state.listeners.values.filter { $0.numbers.contains(number) }
            }
            listeners.forEach { $0.hear(number) }
        }
    }
}
