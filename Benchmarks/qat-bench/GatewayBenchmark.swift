internal import ArgumentParser
internal import Foundation
internal import Logging
internal import Protocol

/// Times durable submissions and status calls on a gateway of its own.
struct GatewayBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Starts a gateway on loopback and times durable submits and status calls."
    )

    @Option(help: "Jobs to submit.") var jobs = 500
    @Option(help: "Submissions in flight.") var concurrency = 8
    @Option(help: "A gateway's state folder, as of one that keeps many jobs; it is changed.")
    var state: String?

    func validate() throws {
        guard jobs > 0, (1...64).contains(concurrency) else {
            throw ValidationError("--jobs is at least 1, --concurrency from 1 to 64")
        }
    }

    func run() async throws {
        let folder = NSTemporaryDirectory() + "/qat-bench-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let certificates = folder + "/certs"
        try CertificateAuthority.createAuthority(in: certificates, trustDomain: "bench")
        _ = try CertificateAuthority.issue(
            subject: .service(role: "gateway", instance: "gateway-1"),
            hosts: ["127.0.0.1"],
            authorityFolder: certificates,
            folder: certificates,
            name: "gateway-1"
        )
        let user = try CertificateAuthority.issue(
            subject: .user(name: "bench"),
            authorityFolder: certificates,
            folder: certificates,
            name: "bench"
        )
        let gateway = try start(folder, certificates)
        defer {
            gateway.terminate()
            gateway.waitUntilExit()
        }
        let client = RPCClient(
            configuration: RPCClientConfiguration(
                address: try await address(folder),
                tls: user,
                expectedServerRole: "gateway"
            ),
            logger: Logger(label: "bench")
        )
        try await measure(client)
        await client.close()
    }

    private func measure(_ client: RPCClient) async throws {
        let model = Array("not a model, but bytes to refer to".utf8)
        let digest = SHA256Digest.digest(of: model)
        let pieces = OneChunk(model)
        _ = try await client.upload(
            QatMethods.putBlob,
            PutBlobRequest(digest: digest, size: UInt64(model.count)),
            size: UInt64(model.count),
            digest: digest,
            nextChunk: { await pieces.next() }
        )
        let spec = #"{"model": "m.gguf", "quantization": {"algorithm": "mxfp4"}}"#
        let file = InputFile(path: "m.gguf", digest: digest, size: UInt64(model.count))
        let input = Input(pointer: "/model", source: "file", files: [file])
        let run = UUID().uuidString
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<concurrency {
                group.addTask {
                    for number in stride(from: worker, to: jobs, by: concurrency) {
                        let request = SubmitJobRequest(
                            kind: "quantize",
                            name: "bench",
                            key: "\(run)-\(number)",
                            specJSON: Array(spec.utf8),
                            inputs: [input]
                        )
                        _ = try await client.call(QatMethods.submitJob, request)
                    }
                }
            }
            try await group.waitForAll()
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        var latencies: [Double] = []
        for _ in 0..<200 {
            let start = ContinuousClock.now
            _ = try await client.call(QatMethods.status, StatusRequest(pageSize: 20))
            latencies.append((ContinuousClock.now - start) / .microseconds(1))
        }
        printJSON([
            ("bench", "gateway"), ("jobs", jobs), ("concurrency", concurrency),
            ("submits_per_s", Double(jobs) / seconds), ("status_p50_us", median(latencies)),
        ])
    }

    private func stateFolder(_ folder: String) -> String { state ?? folder + "/state" }

    private func start(_ folder: String, _ certificates: String) throws -> Process {
        let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let process = Process()
        process.executableURL = executable.deletingLastPathComponent()
            .appending(path: "qat-gateway")
        process.arguments = [
            "--listen", "127.0.0.1:0", "--state", stateFolder(folder), "--log-level", "error",
            "--cert", certificates + "/gateway-1.pem", "--key", certificates + "/gateway-1.key",
            "--ca", certificates + "/ca.pem",
        ]
        try process.run()
        return process
    }

    private func address(_ folder: String) async throws -> ServerAddress {
        let path = stateFolder(folder) + "/address"
        for _ in 0..<1_200 {
            if let text = try? String(contentsOfFile: path, encoding: .utf8) {
                return try ServerAddress(
                    parsing: text.trimmingCharacters(in: .whitespacesAndNewlines)
                )
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ValidationError("the gateway did not start; is qat-gateway beside qat-bench?")
    }
}

/// Yields its bytes once.
private actor OneChunk {
    private var bytes: [UInt8]?

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    func next() -> [UInt8]? {
        defer { bytes = nil }
        return bytes
    }
}
