internal import Foundation
internal import Jobs
internal import Testing

/// Whoever stops a worker gives it the time that it may take.
struct StopTimesTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test func aWorkerFitsIntoWhatUnitsAndComposeGive() throws {
        // The child's grace, the last report, and ten seconds for a connection.
        #expect(StopTimes.worker >= StopTimes.childGrace + StopTimes.lastReport + 10)
        for (file, line) in [
            ("compose.yaml", "stop_grace_period: \(StopTimes.worker)s"),
            ("deploy/systemd/qat-worker@.service", "TimeoutStopSec=\(StopTimes.worker)"),
        ] {
            let text = try String(contentsOf: Self.root.appending(path: file), encoding: .utf8)
            #expect(text.contains(line), "\(file)")
        }
    }
}
