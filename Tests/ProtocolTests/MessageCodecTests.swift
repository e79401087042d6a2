internal import NIOCore
internal import Protocol
internal import Testing

private func encoded(_ message: some WireMessage) throws -> ByteBuffer {
    var buffer = ByteBuffer()
    try MessageCodec.encode(message, into: &buffer)
    return buffer
}

private func bytes(_ message: some WireMessage) throws -> [UInt8] {
    Array(buffer: try encoded(message))
}

/// A length-delimited field.
private func field(_ number: UInt8, _ value: [UInt8]) -> [UInt8] {
    var length = value.count
    var prefix: [UInt8] = [number << 3 | 2]
    while length > 127 {
        prefix.append(UInt8(length & 127) | 128)
        length >>= 7
    }
    return prefix + [UInt8(length)] + value
}

struct MessageCodecTests {
    private static let digest = SHA256Digest.digest(of: [1, 2, 3])
    private static let file = InputFile(path: "a/b", digest: digest, size: .max)
    private static let input = Input(pointer: "/model", source: "folder", files: [file, file])
    private static let output = OutputFile(name: "model/config.json", digest: digest, size: 9)
    private static let progress = JobProgress(
        step: 3,
        totalSteps: 9,
        loss: -0.0,
        learningRate: 1e-5,
        tokensPerSecond: 12.5,
        etaSeconds: 0,
        precision: "mxfp4",
        phase: "train"
    )
    private static let summary = JobSummary(
        jobID: "j",
        kind: "train",
        name: "näme",
        state: "RUNNING",
        progress: progress,
        createdUnixMs: -1,
        startedUnixMs: 0,
        attempt: 2,
        cancelRequested: true
    )
    private static let event = JobEvent(
        jobID: "j",
        seq: 5,
        timeUnixMs: .min,
        type: .metric,
        progress: progress,
        metricsJSON: Array("{}".utf8)
    )

    @Test func everyMessageSurvivesTheRoundTrip() throws {
        func check<M: WireMessage & Equatable>(_ message: M, _ empty: M) throws {
            #expect(try MessageCodec.decode(M.self, from: encoded(message)) == message)
            #expect(try MessageCodec.decode(M.self, from: encoded(empty)) == empty)
        }
        let digests = [Self.digest, .zero]
        let files = [Self.output, OutputFile()]
        try check(FieldViolation(path: "/a", description: "b"), FieldViolation())
        try check(Self.file, InputFile())
        try check(Self.input, Input())
        try check(Self.output, OutputFile())
        try check(Self.progress, JobProgress())
        try check(Self.event, JobEvent())
        try check(Self.summary, JobSummary())
        try check(
            JobDetail(summary: Self.summary, specJSON: [1], outputs: files, lastSeq: 4),
            JobDetail()
        )
        try check(
            SubmitJobRequest(kind: "k", name: "n", key: "y", specJSON: [0], inputs: [Self.input]),
            SubmitJobRequest()
        )
        try check(SubmitJobResponse(jobID: "j", created: true), SubmitJobResponse())
        try check(GetJobRequest(jobID: "j"), GetJobRequest())
        try check(ListJobsRequest(pageSize: .max, pageToken: "t"), ListJobsRequest())
        try check(
            ListJobsResponse(jobs: [Self.summary, JobSummary()], nextPageToken: "t"),
            ListJobsResponse()
        )
        try check(WatchJobRequest(jobID: "j", fromSeq: 1), WatchJobRequest())
        try check(CancelJobRequest(jobID: "j", now: true), CancelJobRequest())
        try check(RetryJobRequest(jobID: "j"), RetryJobRequest())
        try check(PauseJobRequest(jobID: "j"), PauseJobRequest())
        try check(ResumeJobRequest(jobID: "j"), ResumeJobRequest())
        try check(PausePipelineRequest(pipelineID: "p"), PausePipelineRequest())
        try check(ResumePipelineRequest(pipelineID: "p"), ResumePipelineRequest())
        try check(JobLogsRequest(jobID: "j", offset: 1, follow: true), JobLogsRequest())
        try check(LogChunk(offset: 1, data: [0, 255]), LogChunk())
        try check(ServiceInfo(role: "eval", running: 1, lastSeenUnixMs: 2), ServiceInfo())
        var service = ServiceInfo(role: "train")
        service.memoryBytes = 1 << 40
        try check(service, ServiceInfo())
        try check(StatusRequest(pageSize: 3), StatusRequest())
        try check(
            StatusResponse(version: "1", uptimeSeconds: 0.5, services: [ServiceInfo()]),
            StatusResponse()
        )
        try check(HealthCheckRequest(), HealthCheckRequest())
        try check(HealthCheckResponse(status: .notServing, message: "m"), HealthCheckResponse())
        try check(FindMissingRequest(digests: digests), FindMissingRequest())
        try check(FindMissingResponse(digests: digests), FindMissingResponse())
        try check(PutBlobRequest(digest: Self.digest, size: 1), PutBlobRequest())
        try check(PutBlobResponse(size: 1), PutBlobResponse())
        try check(GetBlobRequest(digest: Self.digest, offset: 1, length: 2), GetBlobRequest())
    }

    @Test func everyMessageAboutRemovalSurvivesTheRoundTrip() throws {
        func check<M: WireMessage & Equatable>(_ message: M, _ empty: M) throws {
            #expect(try MessageCodec.decode(M.self, from: encoded(message)) == message)
            #expect(try MessageCodec.decode(M.self, from: encoded(empty)) == empty)
        }
        try check(RemoveJobRequest(jobID: "j"), RemoveJobRequest())
        let gone = RemoveJobResponse(
            jobID: "j",
            freedBytes: .max,
            keptBytes: 5,
            keptFor: "k",
            keptUntilUnixMs: 7
        )
        try check(gone, RemoveJobResponse())
        try check(RemoveBlobsRequest(digests: [Self.digest, .zero]), RemoveBlobsRequest())
        let removed = RemovedBlob(digest: Self.digest, size: 3, outcome: .refused, message: "m")
        try check(RemoveBlobsResponse(blobs: [removed, RemovedBlob()]), RemoveBlobsResponse())
        try check(
            CollectGarbageRequest(dryRun: true, olderThanSeconds: 0),
            CollectGarbageRequest()
        )
        try check(CollectedBlob(digest: Self.digest, size: 1), CollectedBlob())
        try check(VerifyArtifactsRequest(), VerifyArtifactsRequest())
        let fault = ArtifactFault(
            digest: Self.digest,
            missing: true,
            message: "m",
            jobIDs: ["a", "b"],
            jobs: 70
        )
        try check(
            VerifyArtifactsReport(checked: 1, bytes: 2, faults: 3, fault: fault),
            VerifyArtifactsReport()
        )
    }

    @Test func everyLeaseAndControlMessageSurvivesTheRoundTrip() throws {
        func check<M: WireMessage & Equatable>(_ message: M, _ empty: M) throws {
            #expect(try MessageCodec.decode(M.self, from: encoded(message)) == message)
            #expect(try MessageCodec.decode(M.self, from: encoded(empty)) == empty)
        }
        let lease = Lease(jobID: "j", attempt: 1, epoch: 2, inputs: [Self.input])
        try check(lease, Lease())
        try check(
            RegisterWorkerRequest(role: "train", kinds: ["train", ""], cores: 2),
            RegisterWorkerRequest()
        )
        try check(
            RegisterWorkerResponse(leaseSeconds: 60, heartbeatSeconds: 10),
            RegisterWorkerResponse()
        )
        try check(AcquireLeaseRequest(instance: "i", waitSeconds: 30), AcquireLeaseRequest())
        try check(
            AcquireLeaseRequest(instance: "i", obstacle: "o", stopping: true),
            AcquireLeaseRequest()
        )
        try check(AcquireLeaseResponse(lease: Lease()), AcquireLeaseResponse())
        try check(HeartbeatRequest(jobID: "j", events: [Self.event]), HeartbeatRequest())
        try check(HeartbeatRequest(jobID: "j", knowsPause: true), HeartbeatRequest())
        try check(
            AwaitDirectiveRequest(jobID: "j", known: .pause, waitSeconds: 1, knowsPause: true),
            AwaitDirectiveRequest()
        )
        try check(HeartbeatResponse(directive: .lost), HeartbeatResponse())
        try check(HeartbeatResponse(directive: .pause), HeartbeatResponse())
        try check(AppendLogRequest(jobID: "j", offset: 1, data: [1]), AppendLogRequest())
        let kept = KeptJob(jobID: "j", step: .max, isFinished: true)
        try check(
            ReviewKeptRequest(instance: "i", bootID: "b", jobs: [kept, KeptJob(jobID: "k")]),
            ReviewKeptRequest()
        )
        try check(
            ReviewKeptResponse(stored: ["j", "k"], over: ["l"]),
            ReviewKeptResponse()
        )
        try check(AppendLogResponse(nextOffset: 1), AppendLogResponse())
        try check(
            CompleteLeaseRequest(outcome: .cancelled, outputs: [Self.output]),
            CompleteLeaseRequest()
        )
        try check(CompleteLeaseResponse(accepted: true), CompleteLeaseResponse())
        try check(Hello(minorMax: 1, features: .max, compressors: ["zstd"]), Hello())
        try check(HelloAck(maxFrame: 1, principal: "p", descriptorDigest: [1]), HelloAck())
        try check(
            CallEnvelope(method: "m", metadata: [CallMetadata(key: "k")], message: []),
            CallEnvelope()
        )
        try check(
            CallStatus(code: 1, retryAfterMs: 0, violations: [FieldViolation()]),
            CallStatus()
        )
        try check(GoAway(lastStream: 1, message: "m"), GoAway())
        try check(Abort(code: 1, message: "m"), Abort())
    }

    @Test func bytesAreThoseOfProtobuf() throws {
        #expect(try bytes(GetJobRequest(jobID: "ab")) == [0x0A, 2, 0x61, 0x62])
        let cancel = CancelJobRequest(jobID: "j", now: true)
        #expect(try bytes(cancel) == [0x0A, 1, 0x6A, 0x10, 1])
        #expect(
            try bytes(WatchJobRequest(jobID: "j", fromSeq: 300)) == [0x0A, 1, 0x6A, 0x10, 0xAC, 2]
        )
        let halves: [UInt8] = [0x11, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F]
        #expect(try bytes(StatusResponse(uptimeSeconds: 0.5)) == halves)
        #expect(try bytes(HeartbeatResponse(directive: .cancelNow)) == [0x08, 3])
        #expect(try bytes(HeartbeatResponse(directive: .pause)) == [0x08, 5])
        #expect(try bytes(AwaitDirectiveRequest(knowsPause: true)) == [0x28, 1, 0x38, 1])
        #expect(try bytes(HealthCheckRequest()) == [])
    }

    @Test func unknownFieldsAreIgnoredUpToTheCap() throws {
        let known = field(1, [0x6A])
        let unknown = field(15, [1, 2])
        let few = known + (0..<64).flatMap { _ in unknown }
        #expect(
            try MessageCodec.decode(GetJobRequest.self, from: ByteBuffer(bytes: few)).jobID == "j"
        )
        #expect(throws: RPCError.self) {
            try MessageCodec.decode(GetJobRequest.self, from: ByteBuffer(bytes: few + unknown))
        }
    }

    @Test(arguments: [
        ("NUL", field(1, Array("admin\0x".utf8))),
        ("UTF-8", field(1, [0xC3, 0x28])),
        ("overlong", field(1, [0xC0, 0x80])),
        ("truncated", [0x0A, 5, 0x61]),
        ("no length", [0x0A]),
        ("wrong wire type", [0x08, 1]),
        ("group", [0x0B, 0x0C]),
        ("field 0", [0x02, 0]),
        ("twice", field(1, [0x61]) + field(1, [0x62])),
        ("endless varint", [UInt8](repeating: 0xFF, count: 11)),
    ])
    func hostileTextAndFramingIsRefused(_ attack: (name: String, bytes: [UInt8])) throws {
        let error = #expect(throws: RPCError.self, "\(attack.name)") {
            try MessageCodec.decode(GetJobRequest.self, from: ByteBuffer(bytes: attack.bytes))
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test func amplifyingMessagesAreRefused() {
        let empties = [UInt8](repeating: 0, count: 1 << 19).enumerated()
            .map { $0.offset.isMultiple(of: 2) ? UInt8(0x0A) : 0 }
        #expect(throws: RPCError.self) {
            try MessageCodec.decode(ListJobsResponse.self, from: ByteBuffer(bytes: empties))
        }
        let nested = (0..<2_000).flatMap { _ in field(5, field(3, [])) }
        #expect(throws: RPCError.self) {
            try MessageCodec.decode(
                SubmitJobRequest.self,
                from: ByteBuffer(bytes: nested + nested + nested)
            )
        }
        let merging = (0..<1_000).flatMap { _ in field(1, field(1, [0x61])) }
        #expect(throws: RPCError.self) {
            try MessageCodec.decode(JobDetail.self, from: ByteBuffer(bytes: merging))
        }
    }

    @Test func allocationsPerMessageAreBounded() {
        // Lists inside lists stay below the count of each list, not below the budget.
        let file = field(3, [])
        let input = field(5, (0..<20).flatMap { _ in file })
        let request = (0..<4_000).flatMap { _ in input }
        let error = #expect(throws: RPCError.self) {
            try MessageCodec.decode(SubmitJobRequest.self, from: ByteBuffer(bytes: request))
        }
        #expect(error?.message.contains("costs more") == true)
    }

    @Test func digestsOfTheWrongLengthAndUnknownCasesAreRefused() {
        #expect(throws: RPCError.self) {
            let bytes = ByteBuffer(bytes: field(1, [UInt8](repeating: 1, count: 31)))
            return try MessageCodec.decode(PutBlobRequest.self, from: bytes)
        }
        #expect(throws: RPCError.self) {
            try MessageCodec.decode(HeartbeatResponse.self, from: ByteBuffer(bytes: [0x08, 9]))
        }
    }

    @Test func randomBytesNeverTrap() throws {
        let seed = UInt64.random(in: 0...(.max))
        print("MessageCodecTests.randomBytesNeverTrap seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let original = try bytes(
            SubmitJobRequest(kind: "k", name: "n", specJSON: [1, 2], inputs: [Self.input])
        )
        var accepted = 0
        for _ in 0..<20_000 {
            var mutated = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: 0..<mutated.count, using: &generator)
                mutated[index] = UInt8.random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) {
                mutated.removeLast(Int.random(in: 0..<mutated.count, using: &generator))
            }
            let buffer = ByteBuffer(bytes: mutated)
            do {
                let message = try MessageCodec.decode(SubmitJobRequest.self, from: buffer)
                // What was accepted must be a message: it survives its own round trip.
                let again = try MessageCodec.decode(SubmitJobRequest.self, from: encoded(message))
                #expect(again == message, "seed \(seed)")
                accepted += 1
            } catch let error as RPCError {
                #expect(error.code == .invalidArgument, "seed \(seed)")
            }
        }
        #expect(accepted > 0, "seed \(seed)")
    }
}
