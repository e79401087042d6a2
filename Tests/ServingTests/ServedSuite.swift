internal import Foundation
internal import JobSpecs
internal import TestProgram
internal import Testing

/// A real suite on loopback in a temporary folder, with a tiny random model, driven by the real client.
final class ServedSuite: Sendable {
    let folder: String
    private let programs: String

    /// Writes the model and starts the suite.
    init() throws {
        folder = NSTemporaryDirectory() + "/qat-served-" + UUID().uuidString
        programs = try Self.programFolder()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Self.writeModel(to: folder + "/tiny")
        let port = try Self.freePort()
        let result = try client("local", "up", "--detach", "--port", "\(port)")
        try #require(result.status == 0, "\(result.output)\(result.errors)")
    }

    private static func programFolder() throws -> String {
        let named = ProcessInfo.processInfo.environment["QAT_TEST_BIN"]
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
        let found = [named, Bundle.main.bundleURL.path, bundle].compactMap { $0 }.first {
            FileManager.default.isExecutableFile(atPath: $0 + "/qat-client")
        }
        return try #require(found, "qat-client is not built; run scripts/test")
    }

    var environment: [String: String?] { ["QAT_HOME": folder + "/home", "QAT_GATEWAY": nil] }

    /// Runs the client to its end.
    @discardableResult
    func client(_ arguments: String...) throws -> TestProgram.Outcome {
        try TestProgram.run(programs + "/qat-client", arguments, environment: environment)
    }

    /// Runs the client with a list of arguments, and something to read.
    func talk(_ arguments: [String], input: String) throws -> TestProgram.Outcome {
        try TestProgram.run(
            programs + "/qat-client",
            arguments,
            environment: environment,
            input: input
        )
    }

    /// What a program that was started has printed by now.
    func read(_ output: String) throws -> String {
        try String(contentsOfFile: "\(folder)/\(output)", encoding: .utf8)
    }

    /// Starts the client; what it prints goes to a file of the suite's.
    func start(_ arguments: [String], output: String) throws -> TestProgram {
        try TestProgram(
            programs + "/qat-client",
            arguments,
            environment: environment,
            output: .file("\(folder)/\(output)"),
            errors: .file("\(folder)/\(output).errors")
        )
    }

    func down() {
        _ = try? client("local", "down")
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Submits a serve job of the tiny model with some settings; returns its id.
    func serve(_ settings: String = "") throws -> String {
        let more = settings.isEmpty ? "" : ", " + settings
        let file = "\(folder)/serve-\(UUID().uuidString).json"
        try Data(#"{"model": "tiny"\#(more)}"#.utf8).write(to: URL(fileURLWithPath: file))
        let submitted = try client("submit", "serve", file, "--json")
        try #require(submitted.status == 0, "\(submitted.errors)")
        return try #require(try json(submitted.output)["job_id"]?.stringValue)
    }

    /// The JSON object of the last line that a call printed.
    func json(_ text: String) throws -> JSONValue {
        let line = try #require(text.split(separator: "\n").last)
        return try JSONParser.parse(Array(line.utf8)).value
    }

    /// What is known of a job.
    func job(_ id: String) throws -> JSONValue {
        try json(try client("status", id, "--json").output)
    }

    /// The models that are served.
    func models() throws -> [JSONValue] {
        try client("models", "--json").output.split(separator: "\n").map {
            try JSONParser.parse(Array($0.utf8)).value
        }
    }

    /// Waits until something is so; fails the test after a minute.
    func until(_ what: String, _ isSo: () throws -> Bool) throws {
        for _ in 0..<600 {
            if try isSo() { return }
            Thread.sleep(forTimeInterval: 0.1)
        }
        try #require(Bool(false), "not within a minute: \(what)")
    }

    /// Waits until so many replicas take requests.
    func untilReady(_ replicas: Int = 1) throws {
        try until("\(replicas) replicas are ready") {
            try models().first?["ready_replicas"]?.integerValue == replicas
        }
    }

    /// The compute children of this suite's eval worker that are serving.
    func replicaProcess() throws -> Int32? {
        let status = try json(try client("local", "status", "--json").output)
        let daemon = status["daemons"]?.arrayValue?.first { $0["role"]?.stringValue == "eval" }
        guard let parent = daemon?["pid"]?.integerValue else { return nil }
        let path = "/proc/\(parent)/task"
        let children = try FileManager.default.contentsOfDirectory(atPath: path).flatMap { task in
            (try? String(contentsOfFile: "\(path)/\(task)/children", encoding: .utf8))?
                .split(separator: " ") ?? []
        }
        return children.compactMap { Int32($0) }.first
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        try #require(status == 0)
        return UInt16(bigEndian: address.sin_port)
    }
}
