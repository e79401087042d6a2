internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing

/// Calls over real TLS on loopback.
@Suite(.timeLimit(.minutes(5)))
struct RPCEndToEndTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    @Test func unaryCallsCarryRequestReplyAndPeer() async throws {
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.getJob, allow: .users) { request, context in
                JobDetail(
                    summary: JobSummary(jobID: request.jobID, name: "\(context.peer)"),
                    lastSeq: 7
                )
            }
        } _: { _, address in
            try await withClient(address, authority.user("ada")) { client in
                for number in 0..<3 {
                    let reply = try await client.call(
                        QatMethods.getJob,
                        GetJobRequest(jobID: "job-\(number)")
                    )
                    #expect(reply.summary.jobID == "job-\(number)")
                    #expect(reply.summary.name == "spiffe://test.qat/user/ada")
                    #expect(reply.lastSeq == 7)
                }
            }
        }
    }

    @Test(arguments: [0, 1, 8_192, 8_193, 65_536, 200_000])
    func unaryCallsCarryMessagesOfEverySize(byteCount: Int) async throws {
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.submitJob, allow: .users) { request, _ in
                SubmitJobResponse(
                    jobID: String(repeating: "x", count: request.specJSON.count),
                    created: true
                )
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let request = SubmitJobRequest(specJSON: Array(repeating: 1, count: byteCount))
                let reply = try await client.call(QatMethods.submitJob, request)
                #expect(reply.jobID.utf8.count == byteCount)
                #expect(reply.created)
            }
        }
    }

    @Test func aMessageAboveTheLimitIsRefusedBeforeItIsSent() async throws {
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.submitJob, allow: .users) { _, _ in SubmitJobResponse() }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let request = SubmitJobRequest(specJSON: Array(repeating: 1, count: 300_000))
                let error = try await rpcError {
                    _ = try await client.call(QatMethods.submitJob, request)
                }
                #expect(error.code == .invalidArgument)
                _ = try await client.call(QatMethods.submitJob, SubmitJobRequest())
            }
        }
    }

    @Test func serverStreamsDeliverEveryMessageInOrder() async throws {
        let count = 20_000
        try await withServer(authority: authority) { router in
            router.serverStream(QatMethods.jobLogs, allow: .users) { request, _, writer in
                for offset in request.offset..<UInt64(count) {
                    try await writer.write(LogChunk(offset: offset, data: [1, 2, 3]))
                }
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                var next: UInt64 = 5
                try await client.stream(QatMethods.jobLogs, JobLogsRequest(offset: 5)) { chunk in
                    #expect(chunk.offset == next)
                    next += 1
                }
                #expect(next == UInt64(count))
            }
        }
    }

    @Test func clientStreamsArriveInOrder() async throws {
        let method = ClientStreamMethod<LogChunk, AppendLogResponse>(name: "test.Logs/Sum")
        try await withServer(authority: authority) { router in
            router.clientStream(method, allow: .users) { chunks, _ in
                var next: UInt64 = 0
                for try await chunk in chunks {
                    #expect(chunk.offset == next)
                    next += UInt64(chunk.data.count)
                }
                return AppendLogResponse(nextOffset: next)
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let reply = try await client.clientStream(method) { writer in
                    for index in 0..<200 {
                        try await writer.write(
                            LogChunk(
                                offset: UInt64(index) * 10_000,
                                data: Array(repeating: 7, count: 10_000)
                            )
                        )
                    }
                }
                #expect(reply.nextOffset == 2_000_000)
            }
        }
    }

    @Test(arguments: [0, 1, 3_000_000])
    func blobsGoUpAndComeDownUnchanged(byteCount: Int) async throws {
        let blob = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let digest = SHA256Digest.digest(of: blob)
        try await withServer(authority: authority) { router in
            router.blobUpload(QatMethods.putBlob, allow: .users) { request, reader, _ in
                #expect(reader.size == request.size)
                var hasher = SHA256Hasher()
                for try await piece in reader { hasher.update(piece) }
                guard hasher.finalize() == reader.digest else {
                    throw RPCError(.dataLoss, "digest")
                }
                return PutBlobResponse(size: reader.size)
            }
            router.blobDownload(QatMethods.getBlob, allow: .users) { request, _, writer in
                try writer.begin(
                    digest: digest,
                    size: UInt64(byteCount),
                    offset: request.offset
                )
                try await writer.write(Array(blob[Int(request.offset)...]))
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                var sent = 0
                let reply = try await client.upload(
                    QatMethods.putBlob,
                    PutBlobRequest(digest: digest, size: UInt64(byteCount)),
                    size: UInt64(byteCount),
                    digest: digest
                ) {
                    guard sent < byteCount else { return nil }
                    let end = min(sent + 100_000, byteCount)
                    defer { sent = end }
                    return Array(blob[sent..<end])
                }
                #expect(reply.size == UInt64(byteCount))
                var received: [UInt8] = []
                try await client.download(
                    QatMethods.getBlob,
                    GetBlobRequest(digest: digest)
                ) { received += $0 }
                #expect(received == blob)
            }
        }
    }
}
