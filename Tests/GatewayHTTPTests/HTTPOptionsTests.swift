internal import ArgumentParser
internal import Foundation
internal import Protocol
internal import ServiceKit
internal import Testing

@testable internal import Gateway

/// Settings of the HTTP front, and what of them is refused.
struct HTTPOptionsTests {
    private static func settings(_ flags: [String]) throws -> HTTPSettings? {
        let folder = NSTemporaryDirectory() + "/qat-options-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try CertificateAuthority.createAuthority(in: folder, trustDomain: "qat.test")
        let files = try CertificateAuthority.issue(
            subject: .service(role: "gateway", instance: "gateway-1"),
            authorityFolder: folder,
            folder: folder,
            name: "gateway"
        )
        let daemon = try DaemonConfiguration(
            options: try DaemonOptions.parse([
                "--state", "/state", "--cert", files.certificatePath, "--key", files.privateKeyPath,
                "--ca", files.trustRootsPath,
            ]),
            environment: ["QAT_HTTP_IDLE_SECONDS": flags.isEmpty ? "" : "9"],
            defaults: GatewayDaemon.defaults,
            isTerminal: false
        )
        return try HTTPOptions.parse(flags).settings(of: daemon)
    }

    @Test func nothingIsAnsweredByDefault() throws {
        #expect(try Self.settings([]) == nil)
    }

    @Test func tlsIsTheDefault() throws {
        let settings = try #require(
            try Self.settings(["--http-listen", "0.0.0.0:8443", "--http-max-body", "64K"])
        )
        guard case .tls(let certificate, _) = settings.security else {
            Issue.record("plain HTTP")
            return
        }
        #expect(certificate.hasSuffix("gateway.pem"))
        #expect(settings.tokensPath == "/state/tokens.json")
        #expect(settings.trustDomain == "qat.test")
        #expect(settings.limits.bodyBytes == 65_536)
        #expect(settings.limits.idleTime == .seconds(9))
    }

    @Test(arguments: [
        (["--http-listen", "127.0.0.1:80", "--http-tls", "off"], true),
        (["--http-listen", "[::1]:80", "--http-tls", "off"], true),
        (["--http-listen", "localhost:80", "--http-tls", "off"], true),
        (["--http-listen", "0.0.0.0:80", "--http-tls", "insecure"], true),
        (["--http-listen", "0.0.0.0:80", "--http-tls", "off"], false),
        (["--http-listen", "127.example.org:80", "--http-tls", "off"], false),
        (["--http-listen", "127.0.0.1:80", "--http-tls", "of"], false),
        (["--http-listen", "nowhere"], false),
        (["--http-max-body", "1M"], false),
        (["--http-listen", "127.0.0.1:80", "--http-key", "k"], false),
        (["--http-listen", "127.0.0.1:80", "--http-max-body", "1G"], false),
        (["--http-listen", "127.0.0.1:80", "--http-max-requests", "0"], false),
    ])
    func whatCannotBeIsRefused(flags: [String], isFine: Bool) throws {
        if isFine {
            #expect(try Self.settings(flags) != nil)
        } else {
            let error = #expect(throws: ServiceError.self) { try Self.settings(flags) }
            #expect(error?.code == .invalidConfiguration)
        }
    }
}
