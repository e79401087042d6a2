internal import Foundation
internal import Kernels

/// Reads a training's windows step by step, ahead of it where it has threads for that.
///
/// The windows are the same for any number of threads. One caller at a time.
final class WindowReader {
    /// Windows of a step, and what became of reading them.
    private struct Slot {
        let batch: AlignedBuffer<Int32>
        var isFilled = false
        var failure: (any Error)?
    }

    /// What threads share.
    private final class Shared: @unchecked Sendable {
        // Guarded by `condition`, but for the batch of a slot: whoever claimed its step fills it, and the
        // caller reads it once it is filled.
        let condition = NSCondition()
        var slots: [Slot]
        /// The step that the caller has, or waits for.
        var current: Int
        /// The next step that nobody reads.
        var unclaimed: Int
        let end: Int
        var isStopping = false
        var running = 0

        init(slots: [Slot], steps: Range<Int>) {
            self.slots = slots
            current = steps.lowerBound
            unclaimed = steps.lowerBound
            end = steps.upperBound
        }
    }

    private let windows: any TrainingWindows
    private let perStep: Int
    private let shared: Shared
    private let threadCount: Int
    /// The step after the last that was handed out.
    private var next: Int

    /// A reader of the windows of `steps`, `perStep` each, of `length` tokens.
    ///
    /// `threads`: Those that read ahead, a step each; with none, windows are read when they are asked for.
    init(
        _ windows: any TrainingWindows,
        perStep: Int,
        length: Int,
        steps: Range<Int>,
        threads: Int
    ) {
        self.windows = windows
        self.perStep = perStep
        threadCount = min(threads, steps.count)
        next = steps.lowerBound
        shared = Shared(
            slots: (0...threadCount).map { _ in
                Slot(batch: AlignedBuffer(count: perStep * length))
            },
            steps: steps
        )
        for _ in 0..<threadCount { start() }
    }

    deinit {
        shared.condition.lock()
        shared.isStopping = true
        shared.condition.broadcast()
        while shared.running > 0 { shared.condition.wait() }
        shared.condition.unlock()
    }

    /// The windows of the next step, `[perStep, length]` row-major, until they are asked for again.
    ///
    /// - Throws: What reading throws.
    ///
    /// - Precondition: There is another step.
    func read() throws -> UnsafePointer<Int32> {
        precondition(next < shared.end, "read: no step \(next)")
        let step = next
        next += 1
        guard threadCount > 0 else {
            let batch = shared.slots[0].batch.pointer
            try windows.copy(step: step, count: perStep, to: batch)
            return UnsafePointer(batch)
        }
        let index = step % shared.slots.count
        shared.condition.lock()
        defer { shared.condition.unlock() }
        // What was handed out before may be filled again.
        if step > shared.current {
            shared.slots[shared.current % shared.slots.count].isFilled = false
        }
        shared.current = step
        shared.condition.broadcast()
        while !shared.slots[index].isFilled { shared.condition.wait() }
        if let failure = shared.slots[index].failure { throw failure }
        return UnsafePointer(shared.slots[index].batch.pointer)
    }

    private func start() {
        let (shared, windows, perStep) = (shared, windows, perStep)
        shared.condition.withLock { shared.running += 1 }
        Thread.detachNewThread {
            Self.work(shared, windows, perStep)
            shared.condition.withLock {
                shared.running -= 1
                shared.condition.broadcast()
            }
        }
    }

    /// Fills slots until there is no step left.
    private static func work(_ shared: Shared, _ windows: any TrainingWindows, _ perStep: Int) {
        let condition = shared.condition
        condition.lock()
        defer { condition.unlock() }
        while true {
            while !shared.isStopping, shared.unclaimed < shared.end,
                shared.unclaimed >= shared.current + shared.slots.count
            {
                condition.wait()
            }
            guard !shared.isStopping, shared.unclaimed < shared.end else { return }
            let step = shared.unclaimed
            let index = step % shared.slots.count
            shared.unclaimed += 1
            let batch = shared.slots[index].batch.pointer
            condition.unlock()
            let result = Result { try windows.copy(step: step, count: perStep, to: batch) }
            condition.lock()
            if case .failure(let error) = result { shared.slots[index].failure = error }
            shared.slots[index].isFilled = true
            condition.broadcast()
        }
    }
}
