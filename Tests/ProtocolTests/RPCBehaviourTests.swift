internal import Foundation
internal import Protocol
internal import Synchronization
internal import Testing

/// What happens when calls do not go well.
///
/// Nothing sleeps to wait for an event: events are awaited through ``Signal``.
@Suite(.timeLimit(.minutes(5)))
struct RPCBehaviourTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    @Test func cancellingTheCallersTaskCancelsTheHandler() async throws {
        let began = Signal()
        let cancelled = Signal()
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.acquireLease, allow: .users) { _, _ in
                began.fire()
                await untilCancelled()
                cancelled.fire()
                return AcquireLeaseResponse()
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let call = Task {
                    try await client.call(QatMethods.acquireLease, AcquireLeaseRequest())
                }
                await began.wait()
                call.cancel()
                await cancelled.wait()
                let error = try await rpcError { _ = try await call.value }
                #expect(error.code == .cancelled)
            }
        }
    }

    @Test func aLostConnectionCancelsTheHandler() async throws {
        let began = Signal()
        let cancelled = Signal()
        try await withServer(authority: authority) { router in
            router.serverStream(QatMethods.watchJob, allow: .users) { _, _, _ in
                began.fire()
                await untilCancelled()
                cancelled.fire()
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let watch = Task {
                    try await client.stream(QatMethods.watchJob, WatchJobRequest()) { _ in }
                }
                await began.wait()
                watch.cancel()
                await cancelled.wait()
            }
        }
    }

    @Test func aDeadlineEndsTheCallAndTheHandler() async throws {
        let cancelled = Signal()
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.acquireLease, allow: .users) { _, context in
                #expect(context.deadline != nil)
                await untilCancelled()
                cancelled.fire()
                return AcquireLeaseResponse()
            }
            router.unary(QatMethods.status, allow: .users) { _, _ in StatusResponse() }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                // Connects first: a deadline that passes before would leave no handler to cancel.
                _ = try await client.call(QatMethods.status, StatusRequest())
                let error = try await rpcError {
                    _ = try await client.call(
                        QatMethods.acquireLease,
                        AcquireLeaseRequest(),
                        timeout: .milliseconds(100)
                    )
                }
                #expect(error.code == .deadlineExceeded)
                await cancelled.wait()
            }
        }
    }

    @Test func methodsAreDeniedByDefault() async throws {
        let ran = Mutex(0)
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.heartbeat, allow: .workers) { _, _ in
                ran.withLock { $0 += 1 }
                return HeartbeatResponse()
            }
            router.unary(QatMethods.status, allow: []) { _, _ in
                ran.withLock { $0 += 1 }
                return StatusResponse()
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let denied = try await rpcError {
                    _ = try await client.call(QatMethods.heartbeat, HeartbeatRequest())
                }
                #expect(denied.code == .permissionDenied && denied.processed == .no)
                let nobody = try await rpcError {
                    _ = try await client.call(QatMethods.status, StatusRequest())
                }
                #expect(nobody.code == .permissionDenied)
                let unknown = try await rpcError {
                    _ = try await client.call(QatMethods.getJob, GetJobRequest())
                }
                #expect(unknown.code == .unimplemented)
            }
        }
        #expect(ran.withLock { $0 } == 0)
    }

    @Test func errorsOfHandlersArriveWhole() async throws {
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.submitJob, allow: .users) { _, _ in
                throw RPCError(
                    .failedPrecondition,
                    "not so",
                    retryAfter: .milliseconds(1_500),
                    violations: [FieldViolation(path: "/a", description: "b")]
                )
            }
            router.unary(QatMethods.getJob, allow: .users) { _, _ in
                throw CocoaError(.fileNoSuchFile)
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let error = try await rpcError {
                    _ = try await client.call(QatMethods.submitJob, SubmitJobRequest())
                }
                #expect(error.code == .failedPrecondition && error.message == "not so")
                #expect(error.retryAfter == .milliseconds(1_500))
                #expect(error.violations == [FieldViolation(path: "/a", description: "b")])
                let other = try await rpcError {
                    _ = try await client.call(QatMethods.getJob, GetJobRequest())
                }
                #expect(other.code == .internal && other.processed == .maybe)
            }
        }
    }

    /// What a call comes to is said of all its attempts.
    ///
    /// Seen: a job was taken, its answer lost, the second attempt refused unread, and the client told that nothing
    /// had been processed.
    @Test(arguments: [
        (RPCError.Processed.maybe, RPCError.Processed.maybe), (.no, .no),
    ])
    func aRefusalUnreadSaysNothingOfAnEarlierAttempt(
        first: RPCError.Processed,
        expected: RPCError.Processed
    ) async throws {
        let tries = Mutex(0)
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.submitJob, allow: .users) { _, _ in
                let count = tries.withLock { tries in
                    tries += 1
                    return tries
                }
                if count == 1 { throw RPCError(.unavailable, "lost", processed: first) }
                throw RPCError(.resourceExhausted, "too many", processed: .no)
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let error = try await rpcError {
                    _ = try await client.call(QatMethods.submitJob, SubmitJobRequest())
                }
                #expect(error.code == .resourceExhausted && error.processed == expected)
                #expect(tries.withLock { $0 } == 2)
            }
        }
    }

    /// Many more sleeping streams than the connection's credit could feed.
    @Test func sleepingConsumersDoNotBlockOtherCalls() async throws {
        let sleepers = 12
        try await withServer(authority: authority) { router in
            router.serverStream(QatMethods.jobLogs, allow: .users) { _, _, writer in
                let chunk = LogChunk(data: Array(repeating: 0, count: 60_000))
                for _ in 0..<40 { try await writer.write(chunk) }
            }
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in HealthCheckResponse() }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                let wake = Signal()
                try await withThrowingTaskGroup(of: Int.self) { group in
                    let asleep = (0..<sleepers).map { _ in Signal() }
                    for signal in asleep {
                        group.addTask {
                            var count = 0
                            try await client.stream(QatMethods.jobLogs, JobLogsRequest()) { _ in
                                count += 1
                                signal.fire()
                                await wake.wait()
                            }
                            return count
                        }
                    }
                    for signal in asleep { await signal.wait() }
                    for _ in 0..<20 {
                        _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
                    }
                    wake.fire()
                    for try await count in group { #expect(count == 40) }
                }
            }
        }
    }

    /// The dead end of grpclib #67: handlers that never read what they are sent.
    @Test func handlersThatNeverReadLeakNoCredit() async throws {
        let method = ClientStreamMethod<LogChunk, AppendLogResponse>(name: "test.Logs/Ignore")
        try await withServer(authority: authority) { router in
            router.clientStream(method, allow: .users) { _, _ in AppendLogResponse(nextOffset: 1) }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                for _ in 0..<100 {
                    let reply = try await client.clientStream(method) { writer in
                        try await writer.write(
                            LogChunk(data: Array(repeating: 0, count: 50_000))
                        )
                    }
                    #expect(reply.nextOffset == 1)
                }
            }
        }
    }

    @Test func aGracefulShutdownFinishesRunningCalls() async throws {
        let began = Signal()
        let mayEnd = Signal()
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.acquireLease, allow: .users) { _, _ in
                began.fire()
                await mayEnd.wait()
                return AcquireLeaseResponse(lease: Lease(jobID: "j"))
            }
        } _: { server, address in
            try await withClient(address, authority.user()) { client in
                async let reply = client.call(QatMethods.acquireLease, AcquireLeaseRequest())
                await began.wait()
                server.beginGracefulShutdown()
                mayEnd.fire()
                let lease = try await reply.lease
                #expect(lease?.jobID == "j")
            }
        }
    }

    @Test func theClientReconnectsAfterTheServerRestarts() async throws {
        let tls = try authority.service("gateway")
        let running = Mutex<RPCServer?>(nil)
        func start(port: Int, _ name: String) async throws -> (Task<Void, any Error>, Int) {
            var router = RPCRouter()
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in
                HealthCheckResponse(message: name)
            }
            let server = RPCServer(
                configuration: RPCServerConfiguration(host: "127.0.0.1", port: port, tls: tls),
                router: router,
                logger: quietLogger
            )
            running.withLock { $0 = server }
            let task = Task { try await server.run() }
            return (task, try await server.boundAddress().port)
        }
        let (first, port) = try await start(port: 0, "first")
        try await withClient(ServerAddress(host: "127.0.0.1", port: port), authority.user()) {
            client in
            func ask() async throws -> String {
                try await client.call(QatMethods.healthCheck, HealthCheckRequest()).message
            }
            #expect(try await ask() == "first")
            first.cancel()
            try await first.value
            let (second, _) = try await start(port: port, "second")
            #expect(try await ask() == "second")
            #expect(try await ask() == "second")
            second.cancel()
            try await second.value
        }
    }

    @Test func callsInFlightFailWhenTheServerStops() async throws {
        let began = Signal()
        let error = try await withServer(authority: authority) { router in
            router.unary(QatMethods.acquireLease, allow: .users) { _, _ in
                began.fire()
                await untilCancelled()
                throw CancellationError()
            }
        } _: { _, address in
            let tls = try authority.user()
            let call = Task {
                try await rpcError {
                    try await withClient(address, tls, attempts: 1) { client in
                        _ = try await client.call(QatMethods.acquireLease, AcquireLeaseRequest())
                    }
                }
            }
            await began.wait()
            return call
        }
        let failure = try await error.value
        #expect(failure.code == .unavailable || failure.code == .cancelled)
    }

    @Test func aServerRunsOnce() async throws {
        let server = try await withServer(authority: authority) { _ in
        } _: { server, _ in
            server
        }
        let error = try await rpcError { try await server.run() }
        #expect(error.code == .failedPrecondition)
    }

    @Test func uploadsThatEndEarlyOrRunOverAreRefused() async throws {
        try await withServer(authority: authority) { router in
            router.blobUpload(QatMethods.putBlob, allow: .users) { _, reader, _ in
                for try await _ in reader {}
                return PutBlobResponse()
            }
        } _: { _, address in
            try await withClient(address, authority.user()) { client in
                for byteCount in [9, 11] {
                    var chunks = [[UInt8](repeating: 0, count: byteCount)]
                    let error = try await rpcError {
                        _ = try await client.upload(
                            QatMethods.putBlob,
                            PutBlobRequest(),
                            size: 10,
                            digest: .zero
                        ) { chunks.popLast() }
                    }
                    #expect(error.code == .dataLoss)
                }
            }
        }
    }
}

/// Something that happens once; any number may wait for it.
final class Signal: Sendable {
    private struct State {
        var hasFired = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func fire() {
        let waiters = state.withLock { state in
            state.hasFired = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let hasFired = state.withLock { state in
                if !state.hasFired { state.waiters.append(continuation) }
                return state.hasFired
            }
            if hasFired { continuation.resume() }
        }
    }
}

/// Returns when the current task is cancelled.
func untilCancelled() async {
    let cancelled = Signal()
    await withTaskCancellationHandler {
        await cancelled.wait()
    } onCancel: {
        cancelled.fire()
    }
}
