internal import Foundation
internal import Protocol
internal import TestProgram
internal import Testing

/// Who may connect, and what the others are told.
@Suite(.timeLimit(.minutes(5)))
struct TLSTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    private func withHealthServer(
        _ body: @Sendable (ServerAddress) async throws -> Void
    ) async throws {
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.healthCheck, allow: [.users, .services]) { _, _ in
                HealthCheckResponse(status: .serving)
            }
        } _: { _, address in
            try await body(address)
        }
    }

    private func refusal(
        _ address: ServerAddress,
        _ tls: TLSIdentityFiles,
        role: String? = "gateway"
    ) async throws -> RPCError {
        try await rpcError {
            try await withClient(address, tls, role: role) { client in
                _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
            }
        }
    }

    /// What `openssl s_client` prints when it connects with `options`.
    private func openSSLClient(_ address: ServerAddress, _ options: [String]) throws -> String {
        let outcome = try TestProgram.run(
            "/usr/bin/env",
            [
                "openssl", "s_client", "-connect", "\(address)", "-ign_eof",
                "-CAfile", "\(authority.folder)/ca.pem",
            ] + options
        )
        return outcome.output + outcome.errors
    }

    @Test func servicesAndUsersOfTheSameAuthorityGetIn() async throws {
        try await withHealthServer { address in
            for tls in [try authority.user(), try authority.service("train")] {
                try await withClient(address, tls) { client in
                    let reply = try await client.call(
                        QatMethods.healthCheck,
                        HealthCheckRequest()
                    )
                    #expect(reply.status == .serving)
                }
            }
        }
    }

    @Test func aClientOfAnotherAuthorityIsRefusedAndTold() async throws {
        let other = try TestAuthority()
        try await withHealthServer { address in
            // It trusts the server, so that only the server has a reason to refuse.
            var tls = try other.user()
            tls.trustRootsPath = "\(authority.folder)/ca.pem"
            let error = try await refusal(address, tls)
            #expect(error.code == .unavailable && error.processed == .no)
            #expect(error.message.contains("signed by an unknown authority"))
            #expect(error.message.contains("\(address)"))
        }
    }

    @Test func aServerOfAnotherAuthorityIsRefused() async throws {
        let other = try TestAuthority()
        try await withHealthServer { address in
            let error = try await refusal(address, try other.user())
            #expect(error.code == .unavailable)
            #expect(error.message.contains("certificate signed by an unknown authority"))
        }
    }

    @Test func aServerOfAnotherRoleIsRefused() async throws {
        try await withHealthServer { address in
            let error = try await refusal(address, try authority.user(), role: "train")
            #expect(error.code == .unavailable)
            #expect(error.message.contains("a server of role 'train' was expected"))
        }
    }

    @Test(arguments: [
        (["spiffe://test.qat/user/a", "spiffe://test.qat/user/b"], "2 URI names"),
        (["spiffe://test.qat/svc/gateway"], "neither spiffe://"),
        (["https://test.qat/user/a"], "neither spiffe://"),
        ([], "no subject alternative name"),
    ])
    func namesThatAreNotExactlyOneIdentityAreRefused(names: [String], reason: String) async throws {
        try await withHealthServer { address in
            let error = try await refusal(address, try authority.issue(names: names))
            #expect(error.code == .unavailable)
            #expect(error.message.contains(reason), "\(error.message)")
        }
    }

    @Test func aClientWithoutACertificateIsRefused() async throws {
        try await withHealthServer { address in
            let output = try openSSLClient(address, ["-tls1_3", "-alpn", "qatrpc/1"])
            #expect(output.contains("certificate required"), "\(output)")
        }
    }

    @Test func olderTLSAndOtherProtocolsAreRefused() async throws {
        let user = try authority.user()
        let identity = ["-cert", user.certificatePath, "-key", user.privateKeyPath]
        try await withHealthServer { address in
            let old = try openSSLClient(address, identity + ["-tls1_2", "-alpn", "qatrpc/1"])
            #expect(old.contains("protocol version"), "\(old)")
            let other = try openSSLClient(address, identity + ["-tls1_3", "-alpn", "h2"])
            #expect(other.contains("no application protocol"), "\(other)")
        }
    }

    @Test func aClosedPortIsNamedInTheError() async throws {
        let address = try await withServer(authority: authority) { _ in
        } _: { _, address in
            address
        }
        let error = try await rpcError {
            try await withClient(address, authority.user(), attempts: 1) { client in
                _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
            }
        }
        #expect(error.code == .unavailable)
        #expect(error.message.contains("\(address)"))
        #expect(error.message.contains("connection refused"))
    }

    @Test func aMissingCertificateFileIsNamedInTheError() async throws {
        var tls = try authority.user()
        tls.certificatePath = "/nowhere/user.pem"
        let error = try await refusal(ServerAddress(host: "127.0.0.1", port: 1), tls)
        #expect(error.code == .failedPrecondition)
        #expect(error.message.contains("/nowhere/user.pem"))
    }
}
