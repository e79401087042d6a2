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
    /// Waits for so long, between questions.
    var pause: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    /// Calls `onNews` for each event of each job, none twice and each job's in their order, and for each
    /// reason to wait that is another one.
    ///
    /// `seen`: The last event of each job that is known. `onStart`: Called with the pipeline, if it is one,
    /// before the first event.
    ///
    /// - Throws: What ``JobWatcher`` throws.
    func follow(
        after seen: [String: UInt64] = [:],
        onStart: (PipelineDetail) -> Void = { _ in },
        onNews: (JobNews) -> Void
    ) async throws {
        let waiting = WaitingJobs()
        let jobs = try await start(waiting, onStart)
        let (news, continuation) = AsyncThrowingStream<JobNews, any Error>.makeStream()
        let following = Task { [client] in
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for id in jobs {
                        group.addTask {
                            _ = try await JobWatcher(client: client, jobID: id).follow(
                                fromSeq: seen[id] ?? 0
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
        _ onStart: (PipelineDetail) -> Void
    ) async throws -> [String] {
        switch target {
        case .job(let id): return [id]
        case .pipeline(let id):
            let request = GetPipelineRequest(pipelineID: id)
            let pipeline = try await client.call(QatMethods.getPipeline, request)
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
