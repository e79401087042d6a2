internal import Foundation
internal import Jobs
internal import Protocol

/// Follows a job to its end, across outages of the gateway.
struct JobWatcher {
    let client: RPCClient
    let jobID: String
    /// The verb that goes on with what a long outage ended.
    var verb = "watch"
    var patience = Patience()
    /// What says that it can only be asked about; nil for one of its own.
    var refusalNote: RefusalNote?
    /// Told of a job whose end is waited for, and that a user holds back, in a sentence.
    var onPause: @Sendable (String) -> Void = { _ in }

    /// Calls `onEvent` for each event after `fromSeq`, none twice, and returns the final state.
    ///
    /// A gateway that answers and does not let the events be followed is asked for the state now and then: then
    /// it ends with the job, of which events may be missing.
    ///
    /// `hasConnected`: Whether the gateway has answered before; if not, it has to be there at first.
    ///
    /// - Throws: ``ClientError`` naming the job when the gateway stays away (`unreachable`) or refuses
    ///   the connection, or what the gateway answers when it refuses the call.
    func follow(
        fromSeq: UInt64 = 0,
        hasConnected: Bool = false,
        onEvent: @escaping (JobEvent) -> Void
    ) async throws -> String {
        var seen = fromSeq
        var outage = outage(hasConnected)
        let refusalNote = refusalNote ?? RefusalNote(.job(jobID))
        while true {
            var known: JobSummary?
            do {
                if outage.isOn {
                    // A job that is quiet says nothing on the stream, however well it is connected.
                    let request = GetJobRequest(jobID: jobID)
                    known = try await client.call(QatMethods.getJob, request).summary
                    outage.answer()
                }
                if let ended = try await stream(after: &seen, { outage.end() }, onEvent) {
                    return ended
                }
                // The stream ended without a terminal event, as when the gateway drains.
                if let state = try await terminalState() {
                    return state
                }
                outage.end()
                try await outage.breathe()
            } catch let error as RPCError where error.isConnectionLoss {
                if let known, error.isRefusalForNow, ExitStatus(jobState: known.state) != nil {
                    return known.state
                }
                if known != nil {
                    // The pauses grow while it is the gateway's answer, and not its loss.
                    error.isRefusalForNow ? refusalNote.say(error) : outage.end()
                }
                try await outage.outlast(error)
            }
        }
    }

    /// Waits for the job's end, whatever happens before, and returns the job as it is then.
    ///
    /// - Throws: As ``follow(fromSeq:hasConnected:onEvent:)``.
    func end(hasConnected: Bool = false) async throws -> JobDetail {
        let job = try await detail(hasConnected: hasConnected)
        guard ExitStatus(jobState: job.summary.state) == nil else { return job }
        tellPause(job.summary.state, job.summary.reasonMessage)
        _ = try await follow(fromSeq: job.lastSeq, hasConnected: true) { event in
            if event.type == .state { tellPause(event.state, event.message) }
        }
        return try await detail(hasConnected: true)
    }

    /// `message`: Who holds it back, and then how its attempt ended.
    private func tellPause(_ state: String, _ message: String) {
        guard state == JobState.paused.rawValue else { return }
        onPause(
            "job \(jobID) is \(message.prefix { $0 != ";" }), and waited for still; qat-client resume \(jobID)"
        )
    }

    private func detail(hasConnected: Bool) async throws -> JobDetail {
        var outage = outage(hasConnected)
        return try await outage.bearing {
            try await client.call(QatMethods.getJob, GetJobRequest(jobID: jobID))
        }
    }

    private func outage(_ hasConnected: Bool) -> Outage {
        Outage(
            .job(jobID),
            again: "qat-client \(verb) \(jobID)",
            hasConnected: hasConnected,
            patience: patience
        )
    }

    /// `onAnswer`: Called for every event, those that come again included.
    private func stream(
        after seen: inout UInt64,
        _ onAnswer: () -> Void,
        _ onEvent: (JobEvent) -> Void
    ) async throws -> String? {
        var last = seen
        var final: String?
        defer { seen = last }
        // The last event may come again; it is dropped below.
        let request = WatchJobRequest(jobID: jobID, fromSeq: seen)
        try await client.stream(QatMethods.watchJob, request) { event in
            onAnswer()
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
}
