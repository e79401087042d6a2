internal import ArgumentParser
internal import Foundation
internal import Logging
internal import Protocol

/// Measures the protocol between two processes: this one calls, its child serves.
struct RPCBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rpc",
        abstract: "Calls over TLS on loopback: latency, rate and stream throughput.",
        subcommands: [RPCBenchmarkServer.self]
    )

    @Option(help: "Unary calls to time, one after the other.")
    var calls = 10_000

    @Option(help: "Seconds per stream.")
    var seconds = 2.0

    func run() async throws {
        let folder = NSTemporaryDirectory() + "qat-bench-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try CertificateAuthority.createAuthority(in: folder, trustDomain: "bench.qat")
        let server = try RPCBenchmarkProcess(folder: folder)
        defer { server.stop() }
        let tls = try CertificateAuthority.issue(
            subject: .user(name: "bench"),
            authorityFolder: folder,
            folder: folder,
            name: "user"
        )
        let client = RPCClient(
            configuration: RPCClientConfiguration(
                address: server.address,
                tls: tls,
                expectedServerRole: "gateway"
            ),
            logger: Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let latencies = try await unary(client, count: calls)
        let rate = try await concurrent(client, tasks: 16, callsPerTask: calls / 4)
        let (largeCount, largeSeconds) = try await stream(client, byteCount: 64 << 10)
        let (smallCount, smallSeconds) = try await stream(client, byteCount: 16)
        await client.close()
        printJSON([
            ("bench", "rpc"),
            ("unary_p50_us", latencies[latencies.count / 2]),
            ("unary_p99_us", latencies[latencies.count * 99 / 100]),
            ("unary_16conc_rps", rate),
            ("stream_64KiB_MBps", Double(largeCount) * 65_536 / largeSeconds / 1e6),
            ("stream_16B_msgs_per_s", Double(smallCount) / smallSeconds),
        ])
    }

    /// Microseconds of each call, sorted.
    private func unary(_ client: RPCClient, count: Int) async throws -> [Double] {
        let clock = ContinuousClock()
        var latencies: [Double] = []
        for index in 0..<(count + count / 10) {
            let start = clock.now
            _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
            let elapsed = (clock.now - start) / .microseconds(1)
            if index >= count / 10 { latencies.append(elapsed) }
        }
        return latencies.sorted()
    }

    /// Calls per second of several tasks that share one connection.
    private func concurrent(
        _ client: RPCClient,
        tasks: Int,
        callsPerTask: Int
    ) async throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<tasks {
                group.addTask {
                    for _ in 0..<callsPerTask {
                        _ = try await client.call(QatMethods.healthCheck, HealthCheckRequest())
                    }
                }
            }
            try await group.waitForAll()
        }
        return Double(tasks * callsPerTask) / ((clock.now - start) / .seconds(1))
    }

    /// Messages of `byteCount` bytes that came in about `seconds`, and the time they took.
    private func stream(_ client: RPCClient, byteCount: Int) async throws -> (Int, Double) {
        let clock = ContinuousClock()
        var start = clock.now
        var count = 0
        let request = JobLogsRequest(
            jobID: "\(seconds)",
            offset: UInt64(byteCount)
        )
        try await client.stream(QatMethods.jobLogs, request) { chunk in
            // The first message starts the clock, so that opening the stream is not counted.
            if count == 0 { start = clock.now }
            count += 1
            precondition(chunk.data.count == byteCount, "\(chunk.data.count) bytes")
        }
        return (count - 1, (clock.now - start) / .seconds(1))
    }
}
