internal import Foundation
internal import Protocol

/// Follows a job to its end, across lost connections.
struct JobWatcher {
    let client: RPCClient
    let jobID: String
    /// How long a lost connection is tried again before giving up.
    var patience = Duration.seconds(120)

    /// Calls `onEvent` for each event after `fromSeq`, none twice, and returns the final state.
    ///
    /// - Throws: ``ClientError`` naming the job when the gateway stays away (`unreachable`) or refuses
    ///   the connection, or what the gateway answers when it refuses the call.
    func follow(
        fromSeq: UInt64 = 0,
        onEvent: @escaping (JobEvent) -> Void
    ) async throws -> String {
        var seen = fromSeq
        var hasConnected = false
        var lostSince: ContinuousClock.Instant?
        var delay = Duration.milliseconds(250)
        while true {
            do {
                let ended = try await stream(after: &seen) { event in
                    hasConnected = true
                    lostSince = nil
                    delay = .milliseconds(250)
                    onEvent(event)
                }
                if let ended {
                    return ended
                }
                // The stream ended without a terminal event, as when the gateway drains.
                if let state = try await terminalState() {
                    return state
                }
            } catch let error as RPCError where error.isConnectionLoss {
                let since = lostSince ?? .now
                lostSince = since
                guard hasConnected, ContinuousClock.now - since < patience else {
                    throw lost(error)
                }
            }
            try await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(5))
        }
    }

    private func stream(
        after seen: inout UInt64,
        onEvent: (JobEvent) -> Void
    ) async throws -> String? {
        var last = seen
        var final: String?
        defer { seen = last }
        // The last event may come again; it is dropped below.
        let request = WatchJobRequest(jobID: jobID, fromSeq: seen)
        try await client.stream(QatMethods.watchJob, request) { event in
            guard event.seq > last else {
                return
            }
            last = event.seq
            onEvent(event)
            if event.type == .state, ExitStatus(jobState: event.state) != nil {
                final = event.state
            }
        }
        return final
    }

    private func terminalState() async throws -> String? {
        let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: jobID))
        let state = job.summary.state
        return ExitStatus(jobState: state) == nil ? nil : state
    }

    private func lost(_ error: RPCError) -> ClientError {
        ClientError(
            ExitStatus(error),
            "\(error.message); job \(jobID) is unaffected, continue with \"qat-client watch \(jobID)\""
        )
    }
}
