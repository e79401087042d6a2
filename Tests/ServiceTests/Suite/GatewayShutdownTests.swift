internal import Foundation
internal import Protocol
internal import Testing

/// What a gateway's process leaves behind, and what it does not start with.
struct GatewayShutdownTests {
    private let folder: String
    private var certificates: String { folder + "/certs" }

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-shutdown-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try GatewayProcess.makeAuthority(certificates)
    }

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private func put(_ text: String, _ gateway: GatewayProcess) async throws {
        let client = try gateway.client(.user(name: "ada"), "ada-" + UUID().uuidString)
        var left = [Array(text.utf8)]
        _ = try await client.upload(
            QatMethods.putBlob,
            PutBlobRequest(digest: .of(text), size: UInt64(text.utf8.count)),
            size: UInt64(text.utf8.count),
            digest: .of(text),
            nextChunk: { left.popLast() }
        )
        await client.close()
    }

    /// Seen: after SIGTERM what had been acknowledged was in the log beside the database, which is left
    /// behind by who copies the database alone.
    @Test func afterSIGTERMTheDatabaseIsOneFile() async throws {
        defer { remove() }
        let gateway = try await GatewayProcess(state: folder + "/a", certificates: certificates)
        try await put("kept", gateway)
        #expect(gateway.terminate() == 0)
        let path = gateway.state + "/gateway.sqlite"
        let log = FileManager.default.contents(atPath: path + "-wal") ?? Data()
        #expect(log.isEmpty, "\(log.count) bytes are left in the log")
        // Whom the upload is open to stands in the file itself, as text.
        let database = try #require(FileManager.default.contents(atPath: path))
        #expect(database.range(of: Data("user/ada".utf8)) != nil)
    }

    /// Seen: an empty file in the database's place was a first start beside everybody's artifacts.
    @Test func aGatewayDoesNotStartBesideWhatItKnowsNothingOf() async throws {
        defer { remove() }
        let gateway = try await GatewayProcess(state: folder + "/a", certificates: certificates)
        try await put("kept", gateway)
        #expect(gateway.terminate() == 0)
        let path = gateway.state + "/gateway.sqlite"
        for (contents, word) in [
            (Data(), "is empty"), (Data("CREATE TABLE job".utf8), "(SQLite 26)"),
        ] {
            try contents.write(to: URL(fileURLWithPath: path))
            let end = try GatewayProcess.run(
                "--listen",
                "127.0.0.1:0",
                "--state",
                gateway.state,
                "--cert",
                certificates + "/gateway.pem",
                "--key",
                certificates + "/gateway.key",
                "--ca",
                certificates + "/ca.pem"
            )
            #expect(end.status == 1)
            let lines = end.output.split(separator: "\n").filter { $0.hasPrefix("error: ") }
            #expect(lines.count == 1, "\(end.output)")
            #expect(lines.first?.contains("/a/gateway.sqlite") == true, "\(end.output)")
            #expect(end.output.contains(word) && end.output.contains("qat-gateway restore"))
            #expect(FileManager.default.contents(atPath: path) == contents)
        }
    }
}
