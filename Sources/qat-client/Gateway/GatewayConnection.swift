internal import Jobs
internal import Logging
internal import Protocol

/// A connection to the gateway for the length of one verb.
enum GatewayConnection {
    /// Connects as the profile says, runs `body` and closes.
    ///
    /// - Throws: What `body` throws, or what is wrong with the profile and its files
    ///   (``ClientError``, `usage`).
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
        try check(profile)
        let client = RPCClient(
            configuration: RPCClientConfiguration(
                address: try address(profile.gateway),
                tls: profile.tls,
                expectedServerRole: Role.gateway.rawValue,
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

    /// Before anything is hashed or sent, and before it is called an answer of the gateway's: what is
    /// wrong with a user's own files is the same mistake for every verb.
    private static func check(_ profile: Profile) throws {
        let identity: PeerIdentity
        do {
            try profile.tls.check()
            identity = try PeerIdentity(certificatePath: profile.certificatePath)
        } catch let error as RPCError {
            throw ClientError(.usage, error.message)
        }
        guard case .service(let role, let instance) = identity.subject else { return }
        throw ClientError(
            .usage,
            "the profile's certificate \(profile.certificatePath) is the service \(role)/\(instance)'s; people have "
                + "their own: \"qat-client certs issue --user NAME\""
        )
    }

    private static func address(_ text: String) throws -> ServerAddress {
        do {
            return try ServerAddress(parsing: text)
        } catch let error as RPCError {
            throw ClientError(.usage, "gateway \(TerminalText.quoted(text)): \(error.message)")
        }
    }
}

extension RPCError {
    /// Whether the connection failed, rather than the call.
    var isConnectionLoss: Bool {
        code == .unavailable || code == .deadlineExceeded
    }

    /// Whether a gateway that is there did not begin the call, and may later: the caller has as much under way as
    /// it may have.
    var isRefusalForNow: Bool {
        code == .unavailable && category == .retryLater && processed == .no
    }

    /// Whether one side of the connection does not accept the other.
    ///
    /// Its authority, its name, or its language: the same later fails again.
    var isRefusedConnection: Bool {
        code == .unavailable && category == .permanent
    }
}
