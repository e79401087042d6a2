internal import AsyncAlgorithms
internal import Logging
internal import Protocol

/// Who a worker is to the gateway.
struct WorkerIdentity: Sendable {
    let instance: String
    /// Changes each time the worker starts.
    let bootID: String
}

/// Keeps a lease alive: tells the gateway what the attempt's journal holds, and hears what it wants.
struct AttemptReporter: Sendable {
    let lease: Lease
    let worker: WorkerIdentity
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
            while let directive = await beat() {
                Self.pass(directive, orders)
                guard journal.isBehind, !Task.isCancelled else { break }
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
                waitSeconds: 20
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
        for _ in 0..<64 {
            guard !journal.pendingEvents().isEmpty || journal.pendingLog() != nil,
                await beat() != nil
            else {
                return
            }
        }
    }

    private static func pass(_ directive: HeartbeatResponse.Directive, _ orders: AttemptOrders) {
        switch directive {
        case .cancel: orders.give(.stop)
        case .cancelNow, .lost: orders.give(.kill)
        case .continue: break
        }
    }

    private func beat() async -> HeartbeatResponse.Directive? {
        let events = journal.pendingEvents()
        let request = HeartbeatRequest(
            jobID: lease.jobID,
            epoch: lease.epoch,
            instance: worker.instance,
            bootID: worker.bootID,
            events: events,
            runningPhase: journal.phase
        )
        do {
            let response = try await link.client.call(QatMethods.heartbeat, request)
            events.last.map { journal.confirm(through: $0.seq) }
            await sendLog()
            return response.directive
        } catch {
            // At an attempt's end the last one may be cut off.
            if !Task.isCancelled {
                logger.warning("heartbeat of job \(lease.jobID): \(error)")
            }
            return nil
        }
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
    }
}
