#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A fixed set of threads that run one piece of work at a time, fork and join.
///
/// The calling thread takes part as thread 0, so a team of one starts no thread. Calls do not nest,
/// and only one thread may call at a time.
public final class ThreadTeam: @unchecked Sendable {
    // Guarded by `mutex`: generation, pending, stopping and body. The body is set before the
    // generation is raised and cleared after the last worker is done.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>
    private let done: UnsafeMutablePointer<pthread_cond_t>
    private var generation: UInt64 = 0
    private var pending = 0
    private var stopping = false
    private var body: ((Int) -> Void)?
    private var threads: [pthread_t] = []

    /// Number of threads, the caller's included.
    public let threadCount: Int

    /// Starts `threadCount - 1` threads.
    ///
    /// - Precondition: `threadCount` is in 1...256.
    public init(threadCount: Int) {
        precondition((1...256).contains(threadCount), "ThreadTeam: \(threadCount) threads")
        self.threadCount = threadCount
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
        pthread_mutex_lock(mutex)
        stopping = true
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
        guard threadCount > 1 else {
            body(0)
            return
        }
        withoutActuallyEscaping(body) { escaping in
            pthread_mutex_lock(mutex)
            precondition(self.body == nil, "ThreadTeam: two callers at once, or a nested call")
            self.body = escaping
            pending = threadCount - 1
            generation &+= 1
            pthread_cond_broadcast(wake)
            pthread_mutex_unlock(mutex)
            escaping(0)
            pthread_mutex_lock(mutex)
            while pending > 0 {
                pthread_cond_wait(done, mutex)
            }
            self.body = nil
            pthread_mutex_unlock(mutex)
        }
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
        precondition(status == 0, "ThreadTeam: pthread_create failed with \(status)")
        threads.append(thread)
    }

    private func work(_ index: Int) {
        var seen: UInt64 = 0
        pthread_mutex_lock(mutex)
        while true {
            while generation == seen && !stopping {
                pthread_cond_wait(wake, mutex)
            }
            if stopping {
                break
            }
            seen = generation
            let body = body
            pthread_mutex_unlock(mutex)
            body?(index)
            pthread_mutex_lock(mutex)
            pending -= 1
            if pending == 0 {
                pthread_cond_signal(done)
            }
        }
        pthread_mutex_unlock(mutex)
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
