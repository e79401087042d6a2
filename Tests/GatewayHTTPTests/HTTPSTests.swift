internal import Foundation
internal import Protocol
internal import TestProgram
internal import Testing

@testable internal import Gateway

/// HTTP over TLS, asked by another implementation of both.
struct HTTPSTests {
    /// Asks twice on one connection, reports the version of TLS and both statuses, and hangs up.
    private static let script = """
        import http.client, ssl, sys
        port, ca = int(sys.argv[1]), sys.argv[2]
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["http/1.1"])
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        statuses = []
        for _ in range(2):
            connection.request("GET", "/health")
            reply = connection.getresponse()
            reply.read()
            statuses.append(reply.status)
        print(connection.sock.version(), connection.sock.selected_alpn_protocol(), *statuses)
        """

    @Test func isSpokenWithAServicesCertificate() async throws {
        let folder = NSTemporaryDirectory() + "/qat-https-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try CertificateAuthority.createAuthority(in: folder, trustDomain: "qat.test")
        let files = try CertificateAuthority.issue(
            subject: .service(role: "gateway", instance: "gateway-1"),
            hosts: ["127.0.0.1"],
            authorityFolder: folder,
            folder: folder,
            name: "gateway"
        )
        try await HTTPFixture.run(try EngineServing(), certificate: files) { fixture in
            let arguments = ["-c", Self.script, "\(fixture.client.port)", files.trustRootsPath]
            let outcome = try await Self.onThread {
                try TestProgram.run("/usr/bin/env", ["python3"] + arguments)
            }
            #expect(outcome.output == "TLSv1.3 http/1.1 200 200\n", "\(outcome.errors)")
            // Plain HTTP gets no answer, and the front lives on.
            let plain = try? await fixture.client.send("GET", "/health", token: nil)
            #expect(plain == nil)
            let again = try await Self.onThread {
                try TestProgram.run("/usr/bin/env", ["python3"] + arguments)
            }
            #expect(again.status == 0)
        }
    }

    /// Waits for a program apart from the threads that tasks run on.
    static func onThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
        }
    }
}
