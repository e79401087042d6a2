internal import Foundation
internal import Logging
internal import Protocol
internal import Synchronization

/// The checkpoints of an attempt that are on their way to the gateway: one that is being sent, and the newest.
///
/// Each has its files in a folder of its own, which nobody else removes: links, but of bytes that the child would
/// have removed long since. So while the gateway is away, or slower than the training, no more than two are kept,
/// however many are written.
final class StagedCheckpoints: Sendable {
    /// A newer one waits, and this one would keep it waiting for longer than it is worth.
    struct Outdated: Error {}

    private struct State {
        var waiting: CheckpointExchange.Notice?
        /// Ends what is being sent.
        var cancel: (@Sendable () -> Void)?
        /// Whether no more come.
        var isClosed = false
        /// Whether none of them is needed any more.
        var isNeedless = false
    }

    private let exchange: CheckpointExchange
    private let logger: Logger
    private let state = Mutex(State())
    private let (arrivals, arrival) = AsyncStream<Void>.makeStream(
        bufferingPolicy: .bufferingNewest(1)
    )

    init(_ exchange: CheckpointExchange, logger: Logger) {
        self.exchange = exchange
        self.logger = logger
    }

    /// Sets a checkpoint aside, in the place of one that waits.
    func stage(step: Int?, name: String?) {
        guard let notice = exchange.stage(step: step, name: name) else { return }
        let older = state.withLock { state in
            defer { state.waiting = notice }
            return state.waiting
        }
        if let older, older != notice { exchange.unstage(older) }
        arrival.yield()
    }

    /// No more come: what is being sent gives way to the newest, from which the job goes on.
    func close() {
        let cancel = state.withLock { state in
            state.isClosed = true
            return state.waiting == nil ? nil : state.cancel
        }
        cancel?()
        arrival.finish()
    }

    /// None of them is needed: nothing more is sent, and nothing said.
    func abandon() {
        let cancel = state.withLock { state in
            state.isNeedless = true
            return state.cancel
        }
        cancel?()
    }

    /// Sends what is staged until no more come.
    ///
    /// `bounded`: Runs an upload, and may cancel it before it is done.
    func send(
        _ bounded:
            @Sendable (_ upload: @escaping @Sendable () async throws -> Void) async throws
            -> Void
    ) async {
        for await _ in arrivals {
            while let notice = take() {
                do {
                    try await bounded { try await self.upload(notice) }
                } catch {
                    tell(error, of: notice)
                }
                exchange.unstage(notice)
            }
        }
    }

    private func take() -> CheckpointExchange.Notice? {
        state.withLock { $0.isNeedless ? nil : $0.waiting.take() }
    }

    /// Whether a newer one waits for the gateway, too.
    private var isNewerWaiting: Bool { state.withLock { $0.waiting != nil } }

    private func upload(_ notice: CheckpointExchange.Notice) async throws {
        let task = Task {
            // While it waits for a gateway that is away, or full, nothing of it is lost.
            try await exchange.upload(notice) { [self] in
                if isNewerWaiting { throw Outdated() }
            }
        }
        let isOver = state.withLock { state in
            state.cancel = { task.cancel() }
            return state.isNeedless || state.isClosed && state.waiting != nil
        }
        if isOver { task.cancel() }
        defer { state.withLock { $0.cancel = nil } }
        try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func tell(_ error: any Error, of notice: CheckpointExchange.Notice) {
        let (isNeedless, isOutdated) = state.withLock { state in
            (state.isNeedless, state.isClosed && state.waiting != nil)
        }
        let what = "job \(exchange.lease.jobID): checkpoint \(notice.name)"
        if isNeedless {
            logger.debug("\(what) is not needed any more")
        } else if error is Outdated || isOutdated {
            logger.info("\(what) gives way to a newer one")
        } else {
            logger.warning("\(what) is not stored: \(FileFault.text(of: error))")
        }
    }
}
