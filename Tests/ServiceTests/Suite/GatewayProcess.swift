internal import Foundation
internal import Logging
internal import Protocol
internal import TestProgram
internal import Testing

/// The built gateway as a process, with certificates of an authority of its own, on a state folder.
final class GatewayProcess: Sendable {
    let state: String
    private let certificates: String
    private let process: TestProgram

    /// Makes the authority of a test's gateways.
    static func makeAuthority(_ folder: String) throws {
        try CertificateAuthority.createAuthority(in: folder, trustDomain: "test")
        _ = try issue(.service(role: "gateway", instance: "gateway-1"), folder, "gateway")
    }

    private static func issue(
        _ subject: PeerIdentity.Subject,
        _ folder: String,
        _ name: String
    ) throws -> TLSIdentityFiles {
        try CertificateAuthority.issue(
            subject: subject,
            hosts: ["127.0.0.1"],
            authorityFolder: folder,
            folder: folder,
            name: name
        )
    }

    /// Starts a gateway on a free port, and waits until it listens.
    init(state: String, certificates: String, arguments: [String] = []) async throws {
        self.state = state
        self.certificates = certificates
        let log = state + ".log"
        unlink(log)
        process = try TestProgram(
            try Self.program(),
            [
                "--listen", "127.0.0.1:0", "--state", state, "--cert",
                certificates + "/gateway.pem",
                "--key", certificates + "/gateway.key", "--ca", certificates + "/ca.pem",
            ] + arguments,
            errors: .file(log)
        )
        for _ in 0..<600 where (try? address()) == nil {
            try #require(
                process.isRunning,
                "\((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")"
            )
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    deinit { kill() }

    /// Ends it as a power failure would.
    func kill() {
        guard process.isRunning else { return }
        process.signal(SIGKILL)
        process.wait()
        try? FileManager.default.removeItem(atPath: state + "/address")
    }

    /// Ends it as a supervisor would; returns its exit status.
    func terminate() -> Int32 {
        process.signal(SIGTERM)
        return process.wait().status
    }

    /// Where it listens.
    func address() throws -> ServerAddress {
        let text = try String(contentsOfFile: state + "/address", encoding: .utf8)
        return try ServerAddress(parsing: text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// A client with a certificate of its own.
    func client(_ subject: PeerIdentity.Subject, _ name: String) throws -> RPCClient {
        RPCClient(
            configuration: RPCClientConfiguration(
                address: try address(),
                tls: try Self.issue(subject, certificates, name),
                expectedServerRole: "gateway",
                callAttempts: 1
            ),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    /// Runs the gateway's program with some arguments, to its end.
    static func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        let outcome = try TestProgram.run(try program(), arguments)
        return (outcome.status, outcome.output + outcome.errors)
    }

    private static func program() throws -> String {
        try LocalSuiteFixture.programFolder() + "/qat-gateway"
    }
}
