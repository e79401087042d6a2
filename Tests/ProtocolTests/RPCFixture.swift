internal import Foundation
internal import Logging
internal import Protocol
internal import Testing

/// A folder with an authority and certificates, gone when the value is.
final class TestAuthority: Sendable {
    let folder: String

    init(trustDomain: String = "test.qat") throws {
        folder = NSTemporaryDirectory() + "qat-protocol-\(UUID().uuidString)"
        try CertificateAuthority.createAuthority(in: folder, trustDomain: trustDomain)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func service(_ role: String, _ instance: String = "1") throws -> TLSIdentityFiles {
        try issue(.service(role: role, instance: instance))
    }

    func user(_ name: String = "ada") throws -> TLSIdentityFiles {
        try issue(.user(name: name))
    }

    func issue(names: [String]) throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            names: names,
            hosts: [],
            authorityFolder: folder,
            folder: folder,
            name: UUID().uuidString,
            validity: .seconds(3_600)
        )
    }

    private func issue(_ subject: PeerIdentity.Subject) throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            subject: subject,
            hosts: ["localhost", "127.0.0.1", "::1"],
            authorityFolder: folder,
            folder: folder,
            name: UUID().uuidString
        )
    }
}

/// Runs `body` against a running server with the given routes, then stops it.
func withServer<T: Sendable>(
    authority: TestAuthority,
    limits: ConnectionLimits = ConnectionLimits(),
    routes: (inout RPCRouter) -> Void,
    _ body: @Sendable (RPCServer, ServerAddress) async throws -> T
) async throws -> T {
    var router = RPCRouter()
    routes(&router)
    let server = RPCServer(
        configuration: RPCServerConfiguration(
            host: "127.0.0.1",
            port: 0,
            tls: try authority.service("gateway"),
            limits: limits
        ),
        router: router,
        logger: quietLogger
    )
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.run() }
        let address = try await server.boundAddress()
        let result = try await body(server, address)
        group.cancelAll()
        return result
    }
}

/// Runs `body` with a client of that server.
func withClient<T: Sendable>(
    _ address: ServerAddress,
    _ tls: TLSIdentityFiles,
    role: String? = "gateway",
    attempts: Int = 5,
    limits: ConnectionLimits = ConnectionLimits(),
    _ body: (RPCClient) async throws -> T
) async throws -> T {
    let client = RPCClient(
        configuration: RPCClientConfiguration(
            address: address,
            tls: tls,
            expectedServerRole: role,
            callAttempts: attempts,
            limits: limits
        ),
        logger: quietLogger
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

let quietLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// The error that `body` throws, as ours.
func rpcError(_ body: () async throws -> Void) async throws -> RPCError {
    do {
        try await body()
    } catch let error as RPCError {
        return error
    }
    throw RPCError(.ok, "no error was thrown")
}
