internal import Protocol

/// What is told of jobs that are followed.
enum JobNews: Sendable {
    case event(JobEvent)
    /// Why one waits.
    case waits(WaitNote)
}

/// Follows a job, or all jobs of a pipeline as they are when it begins, to their ends; asks why they wait
/// for as long as one does.
struct TargetWatcher {
    /// Before the first question, so that a job that a worker takes at once is not asked about.
    static let firstPause = Duration.seconds(1)
    /// Between questions; a pipeline takes one for all its jobs.
    static let interval = Duration.seconds(5)

    let client: RPCClient
    let target: JobTarget
    var patience = Patience()
    /// Waits for so long, between questions.
    var pause: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    /// Calls `onNews` as ``follow(after:hasConnected:onStart:onNews:)`` does until all have ended, those that
    /// are retried meanwhile included, and returns what came of them.
    ///
    /// - Throws: What ``JobWatcher`` throws.
    func end(
        onStart: (PipelineDetail) -> Void = { _ in },
        onNews: (JobNews) -> Void
    ) async throws -> EndedTarget {
        var seen: [String: UInt64] = [:]
        var outage = outage(hasConnected: true)
        while true {
            try await follow(after: seen, hasConnected: !seen.isEmpty, onStart: onStart) { news in
                if case .event(let event) = news { seen[event.jobID] = event.seq }
                onNews(news)
            }
            switch target {
            case .job(let id):
                let job = try await outage.bearing {
                    try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
                }
                return .job(job)
            case .pipeline(let id):
                let results = try await outage.bearing {
                    try await PipelineResults.fetch(id, client)
                }
                if results.isOver { return .pipeline(results) }
            }
        }
    }

    private func outage(hasConnected: Bool) -> Outage {
        Outage(
            target,
            again: "qat-client watch \(target.id)",
            hasConnected: hasConnected,
            patience: patience
        )
    }

    /// Calls `onNews` for each event of each job, none twice and each job's in their order, and for each
    /// reason to wait that is another one.
    ///
    /// `seen`: The last event of each job that is known. `hasConnected`: Whether the gateway has answered; if
    /// not, it has to be there at first. `onStart`: Called with the pipeline, if it is one,
    /// before the first event.
    ///
    /// - Throws: What ``JobWatcher`` throws.
    func follow(
        after seen: [String: UInt64] = [:],
        hasConnected: Bool = false,
        onStart: (PipelineDetail) -> Void = { _ in },
        onNews: (JobNews) -> Void
    ) async throws {
        let waiting = WaitingJobs()
        var outage = outage(hasConnected: hasConnected)
        let jobs = try await start(waiting, &outage, onStart)
        // A pipeline has told which jobs they are.
        let isThere = hasConnected || target.isPipeline
        let refusalNote = RefusalNote(target)
        let (news, continuation) = AsyncThrowingStream<JobNews, any Error>.makeStream()
        let following = Task { [client, patience] in
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for id in jobs {
                        group.addTask {
                            var watcher = JobWatcher(
                                client: client,
                                jobID: id,
                                patience: patience
                            )
                            watcher.refusalNote = refusalNote
                            _ = try await watcher.follow(
                                fromSeq: seen[id] ?? 0,
                                hasConnected: isThere
                            ) { event in
                                continuation.yield(.event(event))
                                guard event.type == .state else { return }
                                waiting.note(id, state: event.state)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
        defer { following.cancel() }
        let asking = Task { [self] in
            try await ask(waiting) { continuation.yield(.waits($0)) }
        }
        defer { asking.cancel() }
        for try await item in news {
            onNews(item)
        }
        // The iteration ends early, too, when its task is cancelled.
        try Task.checkCancellation()
    }

    /// The jobs to follow; their states as far as they are known.
    private func start(
        _ waiting: WaitingJobs,
        _ outage: inout Outage,
        _ onStart: (PipelineDetail) -> Void
    ) async throws -> [String] {
        switch target {
        case .job(let id): return [id]
        case .pipeline(let id):
            let request = GetPipelineRequest(pipelineID: id)
            let pipeline = try await outage.bearing {
                try await client.call(QatMethods.getPipeline, request)
            }
            onStart(pipeline)
            for job in pipeline.jobs { waiting.note(job.jobID, state: job.state) }
            return pipeline.jobs.map(\.jobID)
        }
    }

    private func ask(_ waiting: WaitingJobs, _ tell: (WaitNote) -> Void) async throws {
        while true {
            try await pause(Self.firstPause)
            guard waiting.isAny else { continue }
            // Whoever follows the events hears of a lost connection.
            let summaries = (try? await summaries()) ?? []
            summaries.compactMap(WaitNote.init).filter(waiting.admits).forEach(tell)
            try await pause(Self.interval - Self.firstPause)
        }
    }

    private func summaries() async throws -> [JobSummary] {
        switch target {
        case .job(let id):
            [try await client.call(QatMethods.getJob, GetJobRequest(jobID: id)).summary]
        case .pipeline(let id):
            try await client.call(QatMethods.getPipeline, GetPipelineRequest(pipelineID: id)).jobs
        }
    }
}
