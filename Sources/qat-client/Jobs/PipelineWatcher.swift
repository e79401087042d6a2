internal import Protocol

/// Follows all jobs of a pipeline to their ends, as they are when it begins.
struct PipelineWatcher {
    let client: RPCClient
    let pipelineID: String

    /// Calls `onEvent` for each event of each job, none twice and each job's in their order.
    ///
    /// `seen`: The last event of each job that is known. `onStart`: Called with the pipeline before the
    /// first event.
    ///
    /// - Throws: What ``JobWatcher`` throws.
    func follow(
        after seen: [String: UInt64] = [:],
        onStart: (PipelineDetail) -> Void = { _ in },
        onEvent: (JobEvent) -> Void
    ) async throws {
        let request = GetPipelineRequest(pipelineID: pipelineID)
        let pipeline = try await client.call(QatMethods.getPipeline, request)
        onStart(pipeline)
        let (events, continuation) = AsyncThrowingStream<JobEvent, any Error>.makeStream()
        let jobs = pipeline.jobs.map(\.jobID)
        let following = Task { [client] in
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for id in jobs {
                        group.addTask {
                            _ = try await JobWatcher(client: client, jobID: id).follow(
                                fromSeq: seen[id] ?? 0
                            ) { event in
                                continuation.yield(event)
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
        for try await event in events {
            onEvent(event)
        }
        // The iteration ends early, too, when its task is cancelled.
        try Task.checkCancellation()
    }
}
