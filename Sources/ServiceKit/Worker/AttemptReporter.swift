internal import AsyncAlgorithms
internal import Logging
internal import Protocol

/// The process of a worker, as calls name it; who it is, its certificate says.
struct WorkerProcess: Sendable {
    let instance: String
    /// Changes each time the worker starts.
    let bootID: String
}

/// Keeps a lease alive: tells the gateway what the attempt's journal holds, and hears what it wants.
struct AttemptReporter: Sendable {
    let lease: Lease
    let worker: WorkerProcess
    let interval: Duration
    let journal: AttemptJournal
    let link: GatewayLink
    let logger: Logger

    /// Sends heartbeats until cancelled.
    ///
    /// One goes out when something happened, but no more than four a second unless one cannot carry all,
    /// and at the interval when nothing did.
    ///
    /// The stream of news has one consumer for the attempt's whole life: cancelling a
    /// consumer ends an `AsyncStream`, and a loop over a new one would spin.
    func run(_ orders: AttemptOrders) async {
        let ticks = AsyncTimerSequence(interval: interval, clock: .continuous).map { _ in }
        for await _ in merge(ticks, journal.isDue) {
            while let answer = await beat() {
                Self.pass(answer.directive, orders)
                guard answer.isFurther, journal.isBehind, !Task.isCancelled else { break }
            }
            try? await Task.sleep(for: .milliseconds(250))
        }
    }

    /// Waits for the gateway's wishes until cancelled, so that they arrive between heartbeats, too.
    func listen(_ orders: AttemptOrders) async {
        var known = HeartbeatResponse.Directive.continue
        while !Task.isCancelled {
            let request = AwaitDirectiveRequest(
                jobID: lease.jobID,
                epoch: lease.epoch,
                instance: worker.instance,
                bootID: worker.bootID,
                known: known,
                waitSeconds: 20,
                knowsPause: true
            )
            do {
                let response = try await link.client.call(
                    QatMethods.awaitDirective,
                    request,
                    timeout: .seconds(40)
                )
                known = response.directive
                Self.pass(known, orders)
                if known == .cancelNow || known == .lost { return }
            } catch {
                // Heartbeats report what is wrong with the connection.
                try? await Task.sleep(for: .seconds(2))
            }
        }
    }

    /// Sends what events and log lines are left, so that they precede the end.
    func drain() async {
        // Enough for a full journal, events and log.
        for _ in 0..<1024 {
            guard !journal.pendingEvents().isEmpty || journal.pendingLog() != nil,
                await beat()?.isFurther == true
            else {
                return
            }
        }
    }

    private static func pass(_ directive: HeartbeatResponse.Directive, _ orders: AttemptOrders) {
        switch directive {
        case .cancel: orders.give(.stop)
        case .pause: orders.pause()
        case .cancelNow: orders.give(.kill)
        case .lost: orders.lose()
        case .continue: break
        }
    }

    private struct Answer {
        let directive: HeartbeatResponse.Directive
        /// Whether another heartbeat at once would carry other news than this one.
        let isFurther: Bool
    }

    /// Sends one heartbeat; the lease does not hang on the news: if they are not taken it is extended
    /// without them.
    private func beat() async -> Answer? {
        let events = journal.pendingEvents()
        do {
            let response = try await send(events)
            events.last.map { journal.confirm(through: $0.seq) }
            await sendLog()
            return Answer(directive: response.directive, isFurther: true)
        } catch {
            // At an attempt's end the last one may be cut off.
            guard !Task.isCancelled else { return nil }
            logger.warning("heartbeat of job \(lease.jobID): \(error)")
            guard !events.isEmpty else { return nil }
            let isRefused = Self.isRefusal(error, of: events)
            if isRefused { journal.refuse(events, because: "\(error)") }
            guard let response = try? await send([]) else { return nil }
            return Answer(directive: response.directive, isFurther: isRefused)
        }
    }

    /// Whether the same events would be refused again.
    private static func isRefusal(_ error: any Error, of events: [JobEvent]) -> Bool {
        switch (error as? RPCError)?.code {
        case .invalidArgument, .outOfRange: true
        // A message that is too long, or a gateway that has too much to do: nothing is given up for that.
        case .resourceExhausted: events.count > 1
        default: false
        }
    }

    private func send(_ events: [JobEvent]) async throws -> HeartbeatResponse {
        let request = HeartbeatRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            instance: worker.instance,
            bootID: worker.bootID,
            events: events,
            runningPhase: journal.phase,
            knowsPause: true
        )
        return try await link.client.call(QatMethods.heartbeat, request)
    }

    private func sendLog() async {
        guard let (offset, bytes) = journal.pendingLog() else {
            return
        }
        let request = AppendLogRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            offset: offset,
            data: bytes,
            bootID: worker.bootID
        )
        guard let response = try? await link.client.call(QatMethods.appendLog, request) else {
            return
        }
        journal.settleLog(
            sentAt: offset,
            byteCount: bytes.count,
            nextOffset: response.nextOffset
        )
        // That was the question where the log ends; what is to be written there need not wait.
        if bytes.isEmpty { await sendLog() }
    }
}
