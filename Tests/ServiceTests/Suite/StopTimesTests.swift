internal import Foundation
internal import Jobs
internal import Testing

/// Whoever stops a daemon gives it the time that it may take.
///
/// Seen: compose.yaml gave two kinds of worker a third of it, and a test was content that the number stood
/// somewhere.
struct StopTimesTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test func aWorkersTimeIsThatOfItsParts() {
        // The child's grace, the last report, and ten seconds for a connection.
        #expect(StopTimes.worker >= StopTimes.childGrace + StopTimes.lastReport + 10)
    }

    /// Each service of compose.yaml by its own words, or those of the one that it is made from.
    @Test func everyServiceOfComposeHasItsTime() throws {
        var service = ""
        var programs: [String: String] = [:]
        var times: [String: String] = [:]
        var anchors: [String: String] = [:]
        var isServices = false
        for line in try Self.text("compose.yaml").split(separator: "\n").map(String.init) {
            if let top = line.wholeMatch(of: #/([a-z]+):.*/#) {
                isServices = top.output.1 == "services"
            }
            guard isServices else { continue }
            if let begun = line.wholeMatch(of: #/  ([a-z0-9-]+):( &([a-z0-9-]+))?/#) {
                service = String(begun.output.1)
                if let anchor = begun.output.3 { anchors[String(anchor)] = service }
            } else if let base = line.wholeMatch(of: #/    <<: \*([a-z0-9-]+)/#),
                let origin = anchors[String(base.output.1)]
            {
                (programs[service], times[service]) = (programs[origin], times[origin])
            } else if let command = line.wholeMatch(of: #/    command: \["(qat-[a-z]+)".*/#) {
                programs[service] = String(command.output.1)
            } else if let time = line.wholeMatch(of: #/    stop_grace_period: (.+)/#) {
                times[service] = String(time.output.1)
            }
        }
        #expect(
            programs == [
                "gateway": "qat-gateway", "quant": "qat-quantd", "train": "qat-traind",
                "train-2": "qat-traind", "eval": "qat-evald",
            ]
        )
        for (service, program) in programs {
            let seconds = program == "qat-gateway" ? StopTimes.gateway : StopTimes.worker
            #expect(times[service] == "\(seconds)s", "\(service)")
        }
    }

    @Test func everyUnitHasItsTime() throws {
        let folder = Self.root.appending(path: "deploy/systemd").path(percentEncoded: false)
        let units = try FileManager.default.contentsOfDirectory(atPath: folder)
            .filter { $0.hasSuffix(".service") }
        #expect(units.sorted() == ["qat-gateway.service", "qat-worker@.service"])
        for unit in units {
            let times = try Self.text("deploy/systemd/\(unit)").split(separator: "\n")
                .filter { $0.hasPrefix("TimeoutStopSec=") }
            let seconds = unit.hasPrefix("qat-gateway") ? StopTimes.gateway : StopTimes.worker
            #expect(times == ["TimeoutStopSec=\(seconds)"], "\(unit)")
        }
    }

    @Test func theOperatorsPageSaysThem() throws {
        let page = try Self.text("docs/OPERATIONS.md")
        for (daemons, seconds) in [
            ("`qat-quantd`, `qat-traind`, `qat-evald`", StopTimes.worker),
            ("`qat-gateway`", StopTimes.gateway),
        ] {
            let row = """
                | \(daemons) | \(seconds) s | `TimeoutStopSec=\(seconds)`, `stop_grace_period: \(seconds)s` |
                """
            #expect(page.contains(row), "\(row)")
        }
    }
}
