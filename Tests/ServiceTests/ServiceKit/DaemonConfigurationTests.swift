internal import ArgumentParser
internal import Foundation
internal import Jobs
internal import Logging
internal import Protocol
internal import Testing

@testable internal import Gateway
@testable internal import ServiceKit

struct DaemonConfigurationTests {
    private let defaults = DaemonConfiguration.Defaults(role: .train, listen: "127.0.0.1:0")
    private let environment = [
        "QAT_STATE": "/env/state", "QAT_CERT": "c", "QAT_KEY": "k", "QAT_CA": "a",
        "QAT_GATEWAY": "env:1", "QAT_THREADS": "3",
    ]

    private func configuration(
        _ arguments: [String] = [],
        _ environment: [String: String],
        isTerminal: Bool = false
    ) throws -> DaemonConfiguration {
        try DaemonConfiguration(
            options: DaemonOptions.parse(arguments),
            environment: environment,
            defaults: defaults,
            isTerminal: isTerminal
        )
    }

    private func withFile<T>(_ text: String, _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "/qat-config-" + UUID().uuidString
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    @Test func aFlagBeatsTheEnvironmentWhichBeatsTheFile() throws {
        let file = #"{"state": "/file", "threads": 7, "log-level": "debug", "gateway": "file:2"}"#
        let merged = try withFile(file) { path in
            try configuration(["--config", path, "--state", "/flag"], environment)
        }
        #expect(merged.stateFolder == "/flag")
        #expect(merged.threads == 3)
        #expect(merged.logLevel == .debug)
        #expect(merged.gateway?.host == "env" && merged.gateway?.port == 1)
        #expect(merged.instance == "train-1")
        #expect(merged.logFormat == .json)
        #expect(try configuration([], environment, isTerminal: true).logFormat == .text)
    }

    /// As `--help` promises of the file, and for compose files and units that know variables only.
    @Test func everySettingOfTheGatewayHasAKeyAndAVariable() throws {
        let help = GatewayDaemon.Run.helpMessage(columns: 200)
        let flags = help.matches(of: /--([a-z-]+) </).map { String($0.output.1) }
        #expect(flags.contains("lease-seconds") && flags.contains("policy") && flags.count > 15)
        for flag in Set(flags).subtracting(["config"]) {
            let variable = "QAT_" + flag.uppercased().replacing("-", with: "_")
            #expect(help.contains("[\(variable)]"), "\(flag)")
            try withFile(#"{"\#(flag)": "12:1"}"#) { path in
                do {
                    _ = try DaemonConfiguration(
                        options: DaemonOptions.parse(["--config", path]),
                        environment: [:],
                        defaults: GatewayDaemon.defaults,
                        isTerminal: false
                    )
                } catch let error as ServiceError {
                    #expect(!error.message.contains("unknown key"), "\(error.message)")
                }
            }
        }
    }

    /// A rule that is written twice, or as another kind of value, must not be guessed at.
    ///
    /// Seen: of a key that came twice one was taken in silence, and `true` was the number 1.
    @Test(arguments: [
        (#"{"threads": 3,\n "threads": 4}"#, "threads", "line 2"),
        (#"{"threads": 3,\n "stall-limit": true}"#, "stall-limit is a boolean", "line 2"),
        (#"{"state":\n null}"#, "state is null", "line 2"),
        (#"{"threads": [3]}"#, "threads is an array", "line 1"),
        (#"{"threads": 2.5}"#, "threads is a number", "line 1"),
        (#"[1]"#, "a JSON object of settings is needed", ""),
    ])
    func aFileThatMayMeanTwoThingsIsRefused(file: String, words: String, line: String) throws {
        let text = file.replacing("\\n", with: "\n")
        try withFile(text) { path in
            let error = #expect(throws: ServiceError.self) {
                try configuration(["--config", path], environment)
            }
            let message = error?.message ?? ""
            let isPlaced = line.isEmpty || message.contains(line)
            #expect(message.contains(words) && isPlaced, "\(message)")
            #expect(message.contains(path))
        }
    }

    /// Compose files hand on `${QAT_POLICY:-}`.
    @Test func anEmptyVariableIsNotSet() throws {
        let empty = ["QAT_THREADS", "QAT_CONFIG", "QAT_LISTEN", "QAT_INSTANCE", "QAT_LOG_LEVEL"]
        let merged = try configuration(
            [],
            environment.merging(empty.map { ($0, "") }) { $1 }
        )
        #expect(merged.instance == "train-1" && merged.listen.host == "127.0.0.1")
        #expect(merged.threads == ProcessInfo.processInfo.activeProcessorCount)
        var gateway = environment
        gateway["QAT_POLICY"] = ""
        gateway["QAT_LEASE_SECONDS"] = ""
        let settings = try DaemonConfiguration(
            options: DaemonOptions.parse([]),
            environment: gateway,
            defaults: GatewayDaemon.defaults,
            isTerminal: false
        )
        #expect(settings.own.isEmpty)
    }

    @Test func aLeaseIsAsLongAsIsSaid() throws {
        #expect(try GatewayDaemon.Run.lease(nil) == .seconds(30))
        #expect(try GatewayDaemon.Run.lease("3") == .seconds(3))
        for text in ["2", "3601", "soon", "", "-5"] {
            #expect(throws: ServiceError.self) { try GatewayDaemon.Run.lease(text) }
        }
    }

    @Test func sentencesNameTheVariableAndTheNearestKey() throws {
        let missing = #expect(throws: ServiceError.self) {
            try configuration([], ["QAT_STATE": "s"])
        }
        #expect(missing?.message.contains("QAT_GATEWAY") == true)
        let unknown = try withFile(#"{"stat": "/x"}"#) { path in
            #expect(throws: ServiceError.self) {
                try configuration(["--config", path], environment)
            }
        }
        #expect(unknown?.message.contains("did you mean state?") == true)
    }

    @Test(arguments: [
        (["--threads", "0"], "--threads is 0"),
        (["--threads", "many"], "--threads is many"),
        (["--log-level", "loud"], "--log-level is loud"),
        (["--listen", "nowhere"], "--listen is nowhere"),
        (["--gateway", "host:99999"], "--gateway is host:99999"),
    ])
    func badValuesAreNamed(arguments: [String], text: String) {
        let error = #expect(throws: ServiceError.self) {
            try configuration(arguments, environment)
        }
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
    }

    @Test func missingAndUnknownSettingsAreNamed() throws {
        var without = environment
        without["QAT_KEY"] = nil
        let missing = #expect(throws: ServiceError.self) { try configuration([], without) }
        #expect(missing?.message.contains("--key is missing") == true)
        try withFile(#"{"sate": "/x"}"#) { path in
            let unknown = #expect(throws: ServiceError.self) {
                try configuration(["--config", path], environment)
            }
            #expect(unknown?.message.contains("unknown key sate") == true)
        }
        try withFile("not json") { path in
            _ = #expect(throws: ServiceError.self) {
                try configuration(["--config", path], environment)
            }
        }
    }
}
