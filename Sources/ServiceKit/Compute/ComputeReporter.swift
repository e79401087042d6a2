internal import Foundation
internal import Protocol
internal import Synchronization

/// A compute child's way to tell its daemon things, and to hear that it should stop.
///
/// Small models take hundreds of steps a second: of progress only as much is told as somebody reads. What
/// comes too soon after its like waits, and the newest of that is told when the time is over, or before
/// anything else that is told: a step with metrics, validations or a checkpoint is never left out, and
/// neither is the last.
public final class ComputeReporter: Sendable {
    private struct State {
        let output: FileHandle
        var pace: ProgressPace
        /// Where the job is before its work begins, and its steps.
        var place = (step: 0, total: 0)
        /// Whether what waits will be told when its time is over.
        var isTimed = false
        /// Whether a stop has to wait for a checkpoint.
        var holdsWork = false
    }

    private let state: Mutex<State>
    private let stop = Atomic<Bool>(false)
    private let listener = Mutex<(@Sendable (String) -> Void)?>(nil)
    private let work = Mutex<(count: @Sendable () -> Int, told: Int)>(({ 0 }, 0))

    /// A reporter that prints to `output`; `isPaced` unless all progress is told.
    init(output: FileHandle, isPaced: Bool = true) {
        state = Mutex(State(output: output, pace: ProgressPace(isOn: isPaced)))
    }

    /// Whether the daemon asked for a checkpoint and an end.
    public var isStopRequested: Bool { stop.load(ordering: .relaxed) }

    func requestStop() {
        stop.store(true, ordering: .relaxed)
    }

    /// Says whether there is something that only a checkpoint keeps, and that a stop has to wait for.
    ///
    /// Where there is not, a stop ends the process at once, whatever it is doing: loading, calibrating,
    /// generating, exporting. At first there is not.
    public func holdWork(_ isHeld: Bool) {
        state.withLock { $0.holdsWork = isHeld }
    }

    /// Hears a stop; calls `end` if nothing is lost by an end at once.
    ///
    /// No line is cut off by it.
    func requestStop(orEnd end: () -> Void) {
        requestStop()
        state.withLock { state in
            if !state.holdsWork { end() }
        }
    }

    /// Has each line handed over, in order, that the daemon writes beside its orders; before, such lines are
    /// lost.
    public func listen(_ body: @escaping @Sendable (String) -> Void) {
        listener.withLock { $0 = body }
    }

    /// The daemon wrote a line that is no order to stop.
    func hear(_ line: String) { listener.withLock { $0 }?(line) }

    /// Throws if the daemon asked to stop; for work without checkpoints.
    public func checkStop() throws {
        if isStopRequested {
            throw AttemptStopped("stopped as asked")
        }
    }

    /// Takes it for a sign of life that a count grows, as of pieces of work done.
    ///
    /// A child that computes for long without anything to tell does not hang.
    public func follow(_ count: @escaping @Sendable () -> Int) {
        work.withLock { $0 = (count, count()) }
    }

    /// Prints a sign of life if work was done since the last; returns whether it did.
    @discardableResult
    func tellLife() -> Bool {
        let hasMoved = work.withLock { work in
            let count = work.count()
            defer { work.told = count }
            return count != work.told
        }
        if hasMoved { send(ComputeEvent(.alive)) }
        return hasMoved
    }

    /// Prints an event; progress that comes too soon later, or not at all if newer comes.
    public func send(_ event: ComputeEvent) {
        state.withLock { state in
            guard event.type == .progress else {
                state.pace.take().map { Self.write($0, to: state.output) }
                Self.write(event, to: state.output)
                return
            }
            guard let wait = state.pace.wait(of: event, at: .now) else {
                Self.write(event, to: state.output)
                return
            }
            if !state.isTimed {
                state.isTimed = true
                tell(after: wait)
            }
        }
    }

    /// Prints what waits, after a time: the work that follows may be long.
    private func tell(after wait: Duration) {
        let seconds = wait / .seconds(1)
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [weak self] in
            self?.state.withLock { state in
                state.isTimed = false
                state.pace.take().map { Self.write($0, to: state.output) }
            }
        }
    }

    private static func write(_ event: ComputeEvent, to output: FileHandle) {
        var line = event
        // JSON has no infinities; a loss that is none is reported by the failure that follows.
        line.loss = event.loss.flatMap { $0.isFinite ? $0 : nil }
        line.learningRate = event.learningRate.flatMap { $0.isFinite ? $0 : nil }
        line.tokensPerSecond = event.tokensPerSecond.flatMap { $0.isFinite ? $0 : nil }
        line.etaSeconds = event.etaSeconds.flatMap { $0.isFinite ? $0 : nil }
        guard var data = try? JSONEncoder().encode(line) else {
            return
        }
        data.append(UInt8(ascii: "\n"))
        // A daemon that is gone reads no more; the lifeline ends this process then.
        try? output.write(contentsOf: data)
    }

    /// Prints a log line.
    public func log(_ message: String) {
        var event = ComputeEvent(.log)
        event.message = message
        send(event)
    }

    /// Says where the job is before its work begins: an earlier attempt may have come somewhere.
    ///
    /// `total`: Its steps; 0 where they are not known yet, and then the step is not told, either.
    public func begin(at step: Int, of total: Int) {
        state.withLock { $0.place = total > 0 ? (min(step, total), total) : (0, 0) }
    }

    /// Prints what the child is doing before its work begins.
    public func progress(phase: String) {
        let place = state.withLock { $0.place }
        progress(phase: phase, step: place.step, of: place.total)
    }

    /// Prints what the child is doing and how far it is.
    public func progress(phase: String, step: Int, of total: Int) {
        var event = ComputeEvent(.progress)
        event.phase = phase
        event.step = step
        event.totalSteps = total
        send(event)
    }

    /// Prints that a checkpoint is complete, by the name of its folder.
    public func checkpoint(step: Int, name: String) {
        var event = ComputeEvent(.checkpoint)
        event.step = step
        event.message = name
        send(event)
    }

    /// Prints measured values.
    public func metric(step: Int, _ values: some Encodable) throws {
        var event = ComputeEvent(.metric)
        event.step = step
        event.json = try Self.json(values)
        send(event)
    }

    /// Prints the job's results, after which no stop comes.
    public func result(_ values: some Encodable) throws {
        var event = ComputeEvent(.result)
        event.json = try Self.json(values)
        holdWork(true)
        send(event)
    }

    static func json(_ values: some Encodable) throws -> String {
        String(decoding: try ResultJSON.data(values), as: UTF8.self)
    }
}
