internal import Logging
@testable internal import Protocol
internal import Testing

/// A client that has closed holds nothing that a process's end could pull away.
@Suite(.timeLimit(.minutes(5)))
struct ClientClosingTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    private func connector(
        _ address: ServerAddress,
        _ limits: ConnectionLimits = ConnectionLimits()
    ) throws -> ClientConnector {
        ClientConnector(
            configuration: RPCClientConfiguration(
                address: address,
                tls: try authority.user(),
                expectedServerRole: "gateway",
                callAttempts: 1,
                limits: limits
            ),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test func closeReturnsWhenTheConnectionIsGone() async throws {
        try await withServer(authority: authority) { _ in
        } _: { _, address in
            for _ in 0..<20 {
                let connector = try connector(address)
                let connection = try await connector.current()
                #expect(connection.isUsable)
                await connector.close()
                #expect(!connection.isUsable)
            }
        }
    }

    @Test func closeHangsUpOnCallsThatDoNotEnd() async throws {
        let began = Signal()
        try await withServer(authority: authority) { router in
            router.serverStream(QatMethods.watchJob, allow: .users) { _, _, _ in
                began.fire()
                await untilCancelled()
            }
        } _: { _, address in
            try await withClient(address, authority.user(), attempts: 1) { client in
                let watch = Task {
                    try await client.stream(QatMethods.watchJob, WatchJobRequest()) { _ in }
                }
                await began.wait()
                await client.close()
                await #expect(throws: RPCError.self) { try await watch.value }
            }
        }
    }
}
