internal import Foundation
internal import Protocol

/// Waits until the gateway answers and has heard of every worker.
struct LocalReadiness {
    let suite: LocalSuite
    let port: Int
    /// Workers that the gateway has heard of before this moment do not count.
    let sinceUnixMs: Int64
    var limit = Duration.seconds(60)

    /// - Throws: ``ClientError`` (`failed`) naming what is missing, with the last lines of its log.
    func wait() async throws {
        let deadline = ContinuousClock.now + limit
        let profile = suite.profile(port: port)
        var missing: [LocalDaemon] = [.gateway]
        while ContinuousClock.now < deadline {
            if let status = try? await Self.status(profile) {
                missing = Self.missing(status, since: sinceUnixMs)
                if missing.isEmpty {
                    return
                }
            } else {
                missing = [.gateway]
            }
            guard suite.supervisor != nil else {
                throw ClientError(
                    .failed,
                    ["the supervisor has ended"] + Self.tail(suite.layout.supervisorLogPath)
                )
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        let running = suite.daemons.map(\.daemon)
        let culprits = LocalDaemon.allCases.filter { missing.contains($0) || !running.contains($0) }
        throw ClientError(
            .failed,
            culprits.flatMap { daemon in
                let log = suite.layout.logPath(daemon)
                return ["\(daemon.executable) is not ready; the end of \(log):"] + Self.tail(log)
            }
        )
    }

    /// The workers that the gateway has not heard of lately.
    static func missing(_ status: StatusResponse, since unixMs: Int64) -> [LocalDaemon] {
        LocalDaemon.workers.filter { worker in
            !status.services.contains {
                $0.role == worker.rawValue && $0.state != "lost" && $0.lastSeenUnixMs >= unixMs
            }
        }
    }

    private static func status(_ profile: Profile) async throws -> StatusResponse {
        try await GatewayConnection.with(profile, attempts: 1) { client in
            let request = StatusRequest(pageSize: 1)
            return try await client.call(QatMethods.status, request, timeout: .seconds(5))
        }
    }

    /// The last lines of a log.
    static func tail(_ path: String, count: Int = 8) -> [String] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            return ["(no log)"]
        }
        defer { try? handle.close() }
        let end = (try? handle.seekToEnd()) ?? 0
        try? handle.seek(toOffset: end > 8192 ? end - 8192 : 0)
        let data = try? handle.readToEnd()
        let text = data.map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").suffix(count).map { "  " + $0 }
    }
}
