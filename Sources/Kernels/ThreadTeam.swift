internal import CKernels
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A fixed set of threads that run one piece of work at a time, fork and join.
///
/// The calling thread takes part as thread 0, so a team of one starts no thread. Calls do not nest,
/// and only one thread may call at a time. Between pieces of work, and at their end, threads look out
/// for some microseconds before they sleep: a training step forks thousands of times, and waking a
/// sleeping thread costs as much as a small piece of work.
public final class ThreadTeam: @unchecked Sendable {
    /// Looks before a thread sleeps, each some tens of nanoseconds apart; none where there are more
    /// threads than processors, and whoever looks keeps another from working.
    private let patience: Int
    // `body` is set before the generation is raised and cleared after the last worker is done.
    private var body: ((Int) -> Void)?
    private let generation = Atomic<Int>(0)
    /// Workers that have not finished the current piece of work.
    private let pending = Atomic<Int>(0)
    private let isStopping = Atomic<Bool>(false)
    // Who sleeps says so before it looks a last time, and who changes something looks for sleepers after
    // the change: with sequentially consistent order one of both sees the other.
    private let sleepers = Atomic<Int>(0)
    private let callerSleeps = Atomic<Bool>(false)
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>
    private let done: UnsafeMutablePointer<pthread_cond_t>
    private var threads: [pthread_t] = []
    private let pieces = Atomic<Int>(0)

    /// Number of threads, the caller's included.
    public let threadCount: Int

    /// Pieces of work that were begun; grows as long as something is computed.
    public var pieceCount: Int { pieces.load(ordering: .relaxed) }

    /// Starts `threadCount - 1` threads.
    ///
    /// - Precondition: `threadCount` is in 1...256.
    public init(threadCount: Int) {
        precondition((1...256).contains(threadCount), "ThreadTeam: \(threadCount) threads")
        self.threadCount = threadCount
        patience = threadCount <= Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) ? 400 : 0
        mutex = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        done = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        pthread_cond_init(done, nil)
        for index in stride(from: 1, to: threadCount, by: 1) {
            start(index)
        }
    }

    deinit {
        // Workers hold no reference to the team between jobs, only to this memory, so they are
        // joined before it goes.
        isStopping.store(true, ordering: .sequentiallyConsistent)
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(mutex)
        for thread in threads {
            pthread_join(thread, nil)
        }
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(wake)
        pthread_cond_destroy(done)
        mutex.deallocate()
        wake.deallocate()
        done.deallocate()
    }

    /// Runs `body` once on each thread, with the thread's index, and returns when all are done.
    public func parallel(_ body: (_ threadIndex: Int) -> Void) {
        pieces.add(1, ordering: .relaxed)
        guard threadCount > 1 else {
            body(0)
            return
        }
        withoutActuallyEscaping(body) { escaping in
            precondition(self.body == nil, "ThreadTeam: two callers at once, or a nested call")
            self.body = escaping
            pending.store(threadCount - 1, ordering: .relaxed)
            generation.add(1, ordering: .sequentiallyConsistent)
            if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                pthread_mutex_lock(mutex)
                pthread_cond_broadcast(wake)
                pthread_mutex_unlock(mutex)
            }
            escaping(0)
            if !looksOut({ pending.load(ordering: .acquiring) == 0 }) {
                pthread_mutex_lock(mutex)
                callerSleeps.store(true, ordering: .sequentiallyConsistent)
                while pending.load(ordering: .sequentiallyConsistent) > 0 {
                    pthread_cond_wait(done, mutex)
                }
                callerSleeps.store(false, ordering: .relaxed)
                pthread_mutex_unlock(mutex)
            }
            self.body = nil
        }
    }

    /// Whether something comes true before patience ends.
    private func looksOut(_ condition: () -> Bool) -> Bool {
        for _ in 0..<patience {
            if condition() { return true }
            qat_spin_pause()
        }
        return condition()
    }

    /// Splits `0 ..< count` into one contiguous range per thread, each a multiple of `grain` long
    /// but the last, and runs `body` on the ranges that are not empty.
    public func parallelFor(count: Int, grain: Int = 1, _ body: (Range<Int>) -> Void) {
        guard count > 0 else {
            return
        }
        let grains = (count + grain - 1) / grain
        let share = (grains + threadCount - 1) / threadCount * grain
        guard share < count else {
            pieces.add(1, ordering: .relaxed)
            body(0..<count)
            return
        }
        parallel { index in
            let lower = min(index * share, count)
            let upper = min(lower + share, count)
            if lower < upper {
                body(lower..<upper)
            }
        }
    }

    private func start(_ index: Int) {
        // An unowned start: the thread must not keep the team alive, or deinit would never come.
        let context = Unmanaged.passRetained(
            WorkerStart(team: Unmanaged.passUnretained(self), index: index)
        )
        var thread = pthread_t()
        let status = pthread_create(
            &thread,
            nil,
            { raw in
                guard let raw else {
                    return nil
                }
                let start = Unmanaged<WorkerStart>.fromOpaque(raw).takeRetainedValue()
                start.team._withUnsafeGuaranteedRef { $0.work(start.index) }
                return nil
            },
            context.toOpaque()
        )
        guard status == 0 else {
            MemoryShortage.end(
                saying: "a thread cannot be started: \(String(cString: strerror(status)))"
            )
        }
        threads.append(thread)
    }

    private func work(_ index: Int) {
        var seen = 0
        while waitForWork(after: seen) {
            seen += 1
            body?(index)
            let left = pending.subtract(1, ordering: .sequentiallyConsistent).newValue
            if left == 0, callerSleeps.load(ordering: .sequentiallyConsistent) {
                pthread_mutex_lock(mutex)
                pthread_cond_signal(done)
                pthread_mutex_unlock(mutex)
            }
        }
    }

    /// Returns once there is a piece of work after number `seen`, or false if the team ends.
    private func waitForWork(after seen: Int) -> Bool {
        func isOver() -> Bool {
            generation.load(ordering: .sequentiallyConsistent) != seen
                || isStopping.load(ordering: .sequentiallyConsistent)
        }
        if !looksOut(isOver) {
            pthread_mutex_lock(mutex)
            sleepers.add(1, ordering: .sequentiallyConsistent)
            while !isOver() {
                pthread_cond_wait(wake, mutex)
            }
            sleepers.subtract(1, ordering: .relaxed)
            pthread_mutex_unlock(mutex)
        }
        return generation.load(ordering: .acquiring) != seen
    }
}

/// What a new worker thread is told.
private final class WorkerStart {
    let team: Unmanaged<ThreadTeam>
    let index: Int

    init(team: Unmanaged<ThreadTeam>, index: Int) {
        self.team = team
        self.index = index
    }
}
