internal import Logging
internal import Protocol

/// A connection to the gateway for the length of one verb.
enum GatewayConnection {
    /// Connects as the profile says, runs `body` and closes.
    ///
    /// - Throws: What `body` throws, or that the profile is missing.
    static func with<Result: Sendable>(
        _ home: QatHome,
        _ body: (RPCClient) async throws -> Result
    ) async throws -> Result {
        try await with(try Profile.load(home), body)
    }

    /// Connects as a profile says, runs `body` and closes.
    static func with<Result: Sendable>(
        _ profile: Profile,
        attempts: Int = 3,
        _ body: (RPCClient) async throws -> Result
    ) async throws -> Result {
        let client = RPCClient(
            configuration: RPCClientConfiguration(
                address: try address(profile.gateway),
                tls: profile.tls,
                expectedServerRole: "gateway",
                callAttempts: attempts
            ),
            logger: Logger(label: "qat-client") { _ in SwiftLogNoOpLogHandler() }
        )
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }

    private static func address(_ text: String) throws -> ServerAddress {
        do {
            return try ServerAddress(parsing: text)
        } catch let error as RPCError {
            throw ClientError(.usage, "gateway \"\(text)\": \(error.message)")
        }
    }
}

extension RPCError {
    /// Whether the connection failed, rather than the call.
    var isConnectionLoss: Bool {
        code == .unavailable || code == .deadlineExceeded
    }
}
