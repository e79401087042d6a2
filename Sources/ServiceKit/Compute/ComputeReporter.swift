internal import Foundation
internal import Synchronization

/// A compute child's way to tell its daemon things, and to hear that it should stop.
public final class ComputeReporter: Sendable {
    private let output: Mutex<FileHandle>
    private let stop = Atomic<Bool>(false)

    /// A reporter that prints to `output`.
    init(output: FileHandle) {
        self.output = Mutex(output)
    }

    /// Whether the daemon asked for a checkpoint and an end.
    public var isStopRequested: Bool { stop.load(ordering: .relaxed) }

    func requestStop() {
        stop.store(true, ordering: .relaxed)
    }

    /// Throws if the daemon asked to stop; for work without checkpoints.
    public func checkStop() throws {
        if isStopRequested {
            throw ComputeFailure(.stopped, "stopped as asked")
        }
    }

    /// Prints an event.
    public func send(_ event: ComputeEvent) {
        var line = event
        // JSON has no infinities; a loss that is none is reported by the failure that follows.
        line.loss = event.loss.flatMap { $0.isFinite ? $0 : nil }
        line.tokensPerSecond = event.tokensPerSecond.flatMap { $0.isFinite ? $0 : nil }
        line.etaSeconds = event.etaSeconds.flatMap { $0.isFinite ? $0 : nil }
        guard var data = try? JSONEncoder().encode(line) else {
            return
        }
        data.append(UInt8(ascii: "\n"))
        // A daemon that is gone reads no more; the lifeline ends this process then.
        output.withLock { try? $0.write(contentsOf: data) }
    }

    /// Prints a log line.
    public func log(_ message: String) {
        var event = ComputeEvent(.log)
        event.message = message
        send(event)
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

    /// Prints the job's results.
    public func result(_ values: some Encodable) throws {
        var event = ComputeEvent(.result)
        event.json = try Self.json(values)
        send(event)
    }

    static func json(_ values: some Encodable) throws -> String {
        String(decoding: try ResultJSON.data(values), as: UTF8.self)
    }
}
