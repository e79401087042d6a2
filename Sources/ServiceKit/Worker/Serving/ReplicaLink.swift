internal import Foundation
internal import Logging
internal import Protocol
internal import Serving
internal import Synchronization

/// Stands between the gateway and a replica's process: orders go in, answers go out.
///
/// It takes orders for as long as the process can answer. A connection that is lost ends what was under way:
/// the gateway has told its callers so, and the process is told to give it up; then orders are taken anew.
final class ReplicaLink: Sendable {
    private let lease: Lease
    private let worker: WorkerProcess
    private let link: GatewayLink
    private let outbox = AnswerOutbox()
    private let task = Mutex<Task<Void, Never>?>(nil)
    /// Yields when the process is ready.
    private let (isReady, ready) = AsyncStream.makeStream(
        of: ReplicaCapacity.self,
        bufferingPolicy: .bufferingNewest(1)
    )
    /// What is to be written to the process.
    let lines: AsyncStream<String>
    private let input: AsyncStream<String>.Continuation

    /// Time between two tries to reach a gateway that is away.
    private static let pause = Duration.seconds(1)
    /// How long the last answers may take.
    private static let lastWords = Duration.seconds(5)

    init(_ lease: Lease, worker: WorkerProcess, link: GatewayLink) {
        self.lease = lease
        self.worker = worker
        self.link = link
        (lines, input) = AsyncStream.makeStream()
    }

    /// The process told something.
    func hear(_ news: ReplicaNews) {
        if let found = news.capacity { ready.yield(found) }
        outbox.add(news)
    }

    /// Begins to take orders and to tell answers, when the process is ready, until ``finish()``.
    func start() {
        let run = Task { await self.run() }
        task.withLock { $0 = run }
    }

    private func run() async {
        var found: ReplicaCapacity?
        for await capacity in isReady {
            found = capacity
            break
        }
        guard let capacity = found else { return }
        while true {
            await session(capacity)
            guard !Task.isCancelled, !outbox.isClosed else { return }
            order(ReplicaOrder(.begin))
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// The process is over: tells what it said last.
    func finish() async {
        outbox.close()
        ready.finish()
        input.finish()
        guard let task = task.withLock({ $0 }) else { return }
        let timer = Task {
            try await Task.sleep(for: Self.lastWords)
            task.cancel()
        }
        await task.value
        timer.cancel()
    }

    /// Orders of one call, and the answers meanwhile.
    private func session(_ capacity: ReplicaCapacity) async {
        let (begun, beginning) = AsyncStream.makeStream(of: Void.self)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    let request = TakeRequestsRequest(
                        jobID: self.lease.jobID,
                        epoch: self.lease.epoch,
                        instance: self.worker.instance,
                        bootID: self.worker.bootID,
                        slots: UInt32(clamping: capacity.slots),
                        length: UInt32(clamping: capacity.length)
                    )
                    try await self.link.client.stream(QatMethods.takeRequests, request) { order in
                        self.order(order)
                        if order.action == .begin { beginning.yield() }
                    }
                } catch {
                    guard !Task.isCancelled else { return }
                    self.link.logger.warning("requests for job \(self.lease.jobID): \(error)")
                }
            }
            group.addTask {
                for await _ in begun { break }
                guard !Task.isCancelled else { return }
                await self.tell()
            }
            await group.next()
            group.cancelAll()
        }
    }

    /// Tells answers in order, one call after the other, until one is not taken.
    private func tell() async {
        for await _ in outbox.open() {
            while let batch = outbox.take() {
                let request = TellAnswersRequest(
                    jobID: lease.jobID,
                    epoch: lease.epoch,
                    bootID: worker.bootID,
                    answers: batch.answers,
                    report: batch.report
                )
                do {
                    let response = try await link.client.call(QatMethods.tellAnswers, request)
                    guard response.accepted else { return }
                } catch {
                    if !Task.isCancelled {
                        link.logger.warning("answers of job \(lease.jobID): \(error)")
                    }
                    return
                }
            }
        }
    }

    private func order(_ order: ReplicaOrder) {
        guard let line = try? JSONEncoder().encode(order) else { return }
        input.yield(String(decoding: line, as: UTF8.self))
    }
}
