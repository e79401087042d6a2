internal import Jobs
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
        try checkUser(profile.certificatePath)
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

    /// The gateway takes no jobs from services; it says so less plainly, and after the files are hashed.
    private static func checkUser(_ certificatePath: String) throws {
        // What is wrong with the file is said when it is used.
        guard let identity = try? PeerIdentity(certificatePath: certificatePath),
            case .service(let role, let instance) = identity.subject
        else { return }
        throw ClientError(
            .usage,
            "the profile's certificate \(certificatePath) is the service \(role)/\(instance)'s; people have "
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
}
