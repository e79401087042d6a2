internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// What a job's log and its answer say of attempts that ended before the present one.
struct AttemptLogTests {
    private func log(_ id: String, _ client: RPCClient) async throws -> String {
        var bytes: [UInt8] = []
        try await client.stream(QatMethods.jobLogs, JobLogsRequest(jobID: id)) { bytes += $0.data }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func append(_ line: String, _ lease: Lease, _ worker: RPCClient) async throws {
        func append(at offset: UInt64, _ text: String) async throws -> UInt64 {
            try await worker.call(
                QatMethods.appendLog,
                AppendLogRequest(
                    jobID: lease.jobID,
                    epoch: lease.epoch,
                    offset: offset,
                    data: Array(text.utf8),
                    bootID: "b1"
                )
            ).nextOffset
        }
        // As workers do, who ask for the end first.
        let end = try await append(at: 0, "")
        _ = try await append(at: end, line + "\n")
    }

    /// Seen: `attempt 3 begins on worker train-1`, and nothing of what had become of the second.
    @Test func theLogSaysHowTheAttemptBeforeEnded() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            let first = try await gateway.lease(worker, "quant-1")
            try await append("attempt 1 begins on worker quant-1", first, worker)
            _ = try await worker.call(
                QatMethods.completeLease,
                CompleteLeaseRequest(
                    jobID: id,
                    epoch: first.epoch,
                    outcome: .failed,
                    reason: JobReason.killed.rawValue,
                    message: "killed from outside (signal 9)",
                    bootID: "b1"
                )
            )
            let second = try await gateway.lease(worker, "quant-1")
            try await append("attempt 2 begins on worker quant-1", second, worker)
            let words = "attempt 1 ended: KILLED: killed from outside (signal 9)"
            #expect(
                try await log(id, ada)
                    == """
                    attempt 1 begins on worker quant-1
                    \(words)
                    attempt 2 begins on worker quant-1

                    """
            )
            _ = try await worker.call(
                QatMethods.heartbeat,
                HeartbeatRequest(
                    jobID: id,
                    epoch: second.epoch,
                    instance: "quant-1",
                    bootID: "b1"
                )
            )
            let summary = try await ada.call(QatMethods.getJob, GetJobRequest(jobID: id)).summary
            #expect(summary.state == "RUNNING" && summary.reasonMessage == words)
        }
    }
}
