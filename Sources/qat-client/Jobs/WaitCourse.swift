internal import Protocol
internal import Synchronization

/// A wait for the ends of jobs and pipelines: what has ended so far, whatever cuts it off.
final class WaitCourse: Sendable {
    /// How long the gateway has, once the time is up, to say what has ended.
    static let patience = Duration.seconds(10)

    private struct State {
        /// What is meant; nil until the gateway was asked.
        var targets: [JobTarget]?
        var ended: [JobTarget: EndedTarget] = [:]
        /// Those that the gateway refuses to say anything of, such as ids that there are not.
        var refused: Set<JobTarget> = []
        /// Success, or the exit of the first word that names nothing.
        var status = ExitStatus.succeeded

        /// Whether there is nothing more to learn of one.
        func isSettled(_ target: JobTarget) -> Bool {
            ended[target] != nil || refused.contains(target)
        }
    }

    private let words: [String]
    private let connection: Connection
    private let state = Mutex(State())

    /// Runs something with a client of the gateway.
    typealias Connection =
        @Sendable (
            _ body: @Sendable (RPCClient) async throws -> Void
        ) async throws -> Void

    /// `words`: What was typed for jobs and pipelines.
    init(words: [String], connection: @escaping Connection) {
        self.words = words
        self.connection = connection
    }

    convenience init(words: [String], home: QatHome) {
        self.init(words: words) { body in try await GatewayConnection.with(home, body) }
    }

    /// What has ended, in the order in which it was named.
    var ended: [EndedTarget] {
        state.withLock { state in (state.targets ?? []).compactMap { state.ended[$0] } }
    }

    /// Whether all have, but for those that there are not.
    var isOver: Bool {
        state.withLock { state in state.targets?.allSatisfy(state.isSettled) ?? false }
    }

    /// The exit of the wait: that of the first word that names nothing, or what became of the jobs.
    var status: ExitStatus {
        let refusal = state.withLock { $0.status }
        return refusal == .succeeded ? .worst(ended.map(\.status)) : refusal
    }

    /// Waits until all have ended.
    func wait() async throws -> Bool {
        try await forEach { [self] target, client in
            note(try await Self.end(of: target, client), of: target)
        }
        return true
    }

    /// Looks once which of the others have ended.
    func ask() async throws {
        try await forEach { [self] target, client in
            switch target {
            case .job(let id):
                let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
                if ExitStatus(jobState: job.summary.state) != nil { note(.job(job), of: target) }
            case .pipeline(let id):
                let results = try await PipelineResults.fetch(id, client)
                if results.isOver { note(.pipeline(results), of: target) }
            }
        }
    }

    private func note(_ end: EndedTarget, of target: JobTarget) {
        state.withLock { $0.ended[target] = end }
    }

    private func forEach(
        _ body: @escaping @Sendable (JobTarget, RPCClient) async throws -> Void
    ) async throws {
        try await connection { [self] client in
            let known = state.withLock { $0.targets }
            let targets: [JobTarget]
            if let known {
                targets = known
            } else {
                let found = try await JobSelector(client: client)
                    .actionable(words, isHarmless: true)
                targets = found.targets
                state.withLock { ($0.targets, $0.status) = (targets, found.status) }
            }
            let left = targets.filter { target in state.withLock { !$0.isSettled(target) } }
            let isAlone = targets.count == 1
            for target in left {
                do {
                    try await body(target, client)
                } catch let error as RPCError
                    where !error.isConnectionLoss && error.code != .cancelled && !isAlone
                {
                    // A wait whose time is up is cancelled, which is no answer of the gateway's.
                    refuse(target, error)
                }
            }
        }
    }

    private func refuse(_ target: JobTarget, _ error: RPCError) {
        Console.complain([JobVerb.complaint(error, of: target)])
        state.withLock { state in
            state.refused.insert(target)
            state.status = state.status == .succeeded ? ExitStatus(error) : state.status
        }
    }

    /// Waits for the end of a job or a pipeline, across outages of the gateway.
    static func end(
        of target: JobTarget,
        _ client: RPCClient,
        _ patience: Patience = Patience()
    ) async throws -> EndedTarget {
        let refusalNote = RefusalNote(target)
        func watcher(_ id: String) -> JobWatcher {
            var watcher = JobWatcher(client: client, jobID: id, verb: "wait", patience: patience)
            watcher.refusalNote = refusalNote
            watcher.onPause = { Console.note($0) }
            return watcher
        }
        guard case .pipeline(let id) = target else {
            return .job(try await watcher(target.id).end())
        }
        var outage = Outage(
            target,
            again: "qat-client wait \(id)",
            hasConnected: false,
            patience: patience
        )
        while true {
            let pipeline = try await outage.bearing {
                let request = GetPipelineRequest(pipelineID: id)
                return try await client.call(QatMethods.getPipeline, request)
            }
            for job in pipeline.jobs where ExitStatus(jobState: job.state) == nil {
                _ = try await watcher(job.jobID).end(hasConnected: true)
            }
            let results = try await outage.bearing {
                try await PipelineResults.fetch(id, client)
            }
            if results.isOver { return .pipeline(results) }
        }
    }
}
