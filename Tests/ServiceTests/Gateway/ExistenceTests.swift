internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Nobody learns from an answer whether there is what they may not have: it is the same word for word.
struct ExistenceTests {
    /// What a call ends with, the digest or id that was asked for left out.
    private func answer(
        _ asked: String,
        _ body: () async throws -> String
    ) async -> String {
        do {
            return try await body().replacing(asked, with: "X")
        } catch let error as RPCError {
            return "\(error.code): \(error.message)".replacing(asked, with: "X")
        } catch {
            return "\(error)"
        }
    }

    private static func request(_ digest: SHA256Digest, size: UInt64) -> SubmitJobRequest {
        let spec = #"{"model": "m.gguf", "quantization": {"algorithm": "mxfp4"}}"#
        return SubmitJobRequest(
            kind: "quantize",
            key: "k",
            specJSON: Array(spec.utf8),
            inputs: [
                Input(
                    pointer: "/model",
                    source: "m.gguf",
                    files: [InputFile(path: "m.gguf", digest: digest, size: size)]
                )
            ]
        )
    }

    private static func request(source: String) -> SubmitJobRequest {
        let spec = #"{"model": "\#(source)", "quantization": {"algorithm": "mxfp4"}}"#
        return SubmitJobRequest(
            kind: "quantize",
            key: "k",
            specJSON: Array(spec.utf8),
            inputs: [Input(pointer: "/model", source: source)]
        )
    }

    /// Seen: submit said "not uploaded yet" in two ways, and took another size for a missing file.
    @Test func aDigestThatIsNotTheCallersIsAsGoodAsNone() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let worker = try await gateway.worker(.quant, "quant-1")
            let secret = try await gateway.put("secret", ada)
            try await gateway.submit(ada, text: "m")
            _ = try await gateway.lease(worker, "quant-1")
            let nothing = SHA256Digest.of("nothing")
            @Sendable func submit(_ request: SubmitJobRequest) async throws -> String {
                try await eve.call(QatMethods.submitJob, request).jobID
            }
            typealias Ask = @Sendable (SHA256Digest) async throws -> String
            let asks: [(String, Ask)] = [
                ("file", { try await submit(Self.request($0, size: 6)) }),
                ("file of another size", { try await submit(Self.request($0, size: 7)) }),
                ("source", { try await submit(Self.request(source: "sha256:\($0.hex)")) }),
                (
                    "pipeline",
                    {
                        var part = Self.request($0, size: 6)
                        part.key = ""
                        let job = PipelineJob(name: "a", job: part)
                        let request = SubmitPipelineRequest(key: "k", jobs: [job])
                        return try await eve.call(QatMethods.submitPipeline, request).pipelineID
                    }
                ),
                ("get", { try await gateway.get($0, eve) }),
                (
                    "get from afar",
                    { digest in
                        let request = GetBlobRequest(digest: digest, offset: 1_000)
                        try await eve.download(QatMethods.getBlob, request, onChunk: { _ in })
                        return ""
                    }
                ),
                (
                    "find",
                    {
                        let request = FindMissingRequest(digests: [$0])
                        let missing = try await eve.call(QatMethods.findMissing, request)
                        return missing.digests.map(\.hex).joined()
                    }
                ),
                (
                    "remove",
                    {
                        let request = RemoveBlobsRequest(digests: [$0])
                        let blob = try await eve.call(QatMethods.removeBlobs, request).blobs[0]
                        return "\(blob.size) \(blob.outcome) \(blob.message)"
                    }
                ),
                ("worker's get", { try await gateway.get($0, worker) }),
                (
                    "worker's find",
                    {
                        let request = FindMissingRequest(digests: [$0])
                        let missing = try await worker.call(QatMethods.findMissing, request)
                        return missing.digests.map(\.hex).joined()
                    }
                ),
            ]
            for (what, ask) in asks {
                let theirs = await answer(secret.hex) { try await ask(secret) }
                let none = await answer(nothing.hex) { try await ask(nothing) }
                #expect(theirs == none, "\(what)")
                #expect(theirs.contains("X") || what == "remove", "\(what): \(theirs)")
            }
            // It is there all the same.
            #expect(try await gateway.get(secret, ada) == "secret")
        }
    }

    @Test func aJobThatIsNotTheCallersIsAsGoodAsNone() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let eve = try gateway.user("eve")
            let worker = try await gateway.worker(.eval, "eval-9")
            let theirs = try await gateway.submit(ada)
            let none = "0123456789abcdef"
            typealias Ask = @Sendable (String) async throws -> String
            let asks: [Ask] = [
                { try await eve.call(QatMethods.getJob, GetJobRequest(jobID: $0)).summary.state },
                { try await eve.call(QatMethods.cancelJob, CancelJobRequest(jobID: $0)).state },
                { try await eve.call(QatMethods.pauseJob, PauseJobRequest(jobID: $0)).state },
                { try await eve.call(QatMethods.resumeJob, ResumeJobRequest(jobID: $0)).state },
                { try await eve.call(QatMethods.retryJob, RetryJobRequest(jobID: $0)).state },
                { try await eve.call(QatMethods.removeJob, RemoveJobRequest(jobID: $0)).jobID },
                { id in
                    try await eve.stream(QatMethods.watchJob, WatchJobRequest(jobID: id)) { _ in }
                    return ""
                },
                { id in
                    try await eve.stream(QatMethods.jobLogs, JobLogsRequest(jobID: id)) { _ in }
                    return ""
                },
                {
                    let request = Self.request(source: "job:\($0)")
                    return try await eve.call(QatMethods.submitJob, request).jobID
                },
                {
                    let request = Self.request(source: "job:\($0)/nothing")
                    return try await eve.call(QatMethods.submitJob, request).jobID
                },
                {
                    try await gateway.put("m", eve)
                    var request = Self.request(.of("m"), size: 1)
                    request.after = [$0]
                    return try await eve.call(QatMethods.submitJob, request).jobID
                },
                {
                    let request = HeartbeatRequest(
                        jobID: $0,
                        epoch: 1,
                        instance: "eval-9",
                        bootID: "b1"
                    )
                    return "\(try await worker.call(QatMethods.heartbeat, request).directive)"
                },
                {
                    let request = AppendLogRequest(jobID: $0, epoch: 1, data: [65], bootID: "b1")
                    return "\(try await worker.call(QatMethods.appendLog, request).nextOffset)"
                },
                {
                    let request = CompleteLeaseRequest(jobID: $0, epoch: 1, bootID: "b1")
                    return "\(try await worker.call(QatMethods.completeLease, request).accepted)"
                },
                {
                    let file = OutputFile(name: "s", digest: .of("m"), size: 1)
                    let request = SaveCheckpointRequest(
                        jobID: $0,
                        epoch: 1,
                        instance: "eval-9",
                        bootID: "b1",
                        checkpoint: Checkpoint(step: 1, files: [file])
                    )
                    return "\(try await worker.call(QatMethods.saveCheckpoint, request).accepted)"
                },
            ]
            for (index, ask) in asks.enumerated() {
                let first = await answer(theirs) { try await ask(theirs) }
                let second = await answer(none) { try await ask(none) }
                #expect(first == second, "ask \(index)")
            }
        }
    }
}
