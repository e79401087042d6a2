internal import Foundation
internal import Testing

/// `local up` in the foreground, as people run it in a terminal: what ends it ends everything it started.
@Suite(.serialized) struct LocalForegroundTests {
    private static let patience: TimeInterval = 120

    /// Waits until something holds.
    private func wait(_ what: String, until isTrue: () throws -> Bool) async throws {
        let deadline = Date.now.addingTimeInterval(Self.patience)
        while try !isTrue() {
            try #require(Date.now < deadline, "waited in vain until \(what)")
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func isAlive(_ processID: Int32) -> Bool {
        // A zombie of somebody else's is over, too.
        guard let stat = FileManager.default.contents(atPath: "/proc/\(processID)/stat") else {
            return false
        }
        let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last ?? ""
        return !fields.hasPrefix(" Z")
    }

    /// A closing terminal sends two and more, by the kernel and by the shell.
    ///
    /// Seen: the second one ended the client before it had stopped anything.
    @Test(arguments: [[SIGINT], [SIGTERM, SIGTERM], [SIGHUP, SIGHUP, SIGTERM]])
    func signalsStopTheSuiteAndAllItsProcesses(numbers: [Int32]) async throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        let port = try LocalSuiteFixture.freePort()
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: try LocalSuiteFixture.programFolder() + "/qat-client"
        )
        process.arguments = ["local", "up", "--port", "\(port)"]
        var environment = ProcessInfo.processInfo.environment
        environment["QAT_HOME"] = suite.folder + "/home"
        environment["QAT_GATEWAY"] = nil
        process.environment = environment
        let notes = suite.folder + "/notes"
        try Data().write(to: URL(fileURLWithPath: notes))
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle(forWritingAtPath: notes)
        try process.run()
        defer { process.terminate() }
        func noted() throws -> String { try String(contentsOfFile: notes, encoding: .utf8) }
        try await wait("it is up") { try noted().contains("Ctrl-C stops it") }

        let status = try suite.json(try suite.client("local", "status", "--json").output)
        let daemons = try #require(status["daemons"] as? [[String: Any]])
        let supervisor = try #require(status["supervisor_pid"] as? Int)
        let processes = daemons.compactMap { $0["pid"] as? Int }.map(Int32.init)
        #expect(processes.count == 4)
        #expect(processes.allSatisfy(isAlive))

        // What a client left that was killed so goes, too.
        let leftover = suite.folder + "/home/local/run/stop.4194304.tmp"
        try Data().write(to: URL(fileURLWithPath: leftover))
        for number in numbers {
            kill(process.processIdentifier, number)
            try await Task.sleep(for: .milliseconds(5))
        }
        try await wait("it has ended") { !process.isRunning }
        #expect(process.terminationReason == .exit)
        #expect(!FileManager.default.fileExists(atPath: leftover))
        #expect(process.terminationStatus == 0)
        #expect(try noted().hasSuffix("stopping\n"))
        #expect(!(processes + [Int32(supervisor)]).contains(where: isAlive))
    }

    @Test func aSignalWhileItStartsStopsIt() async throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        let port = try LocalSuiteFixture.freePort()
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: try LocalSuiteFixture.programFolder() + "/qat-client"
        )
        process.arguments = ["local", "up", "--port", "\(port)"]
        var environment = ProcessInfo.processInfo.environment
        environment["QAT_HOME"] = suite.folder + "/home"
        process.environment = environment
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer { process.terminate() }
        let pidFile = suite.folder + "/home/local/run/gateway.pid"
        try await wait("the gateway starts") { FileManager.default.fileExists(atPath: pidFile) }
        kill(process.processIdentifier, SIGINT)
        try await wait("it has ended") { !process.isRunning }
        #expect(process.terminationStatus == 3)
        let status = try suite.client("local", "status")
        #expect(status.status == 1 && !status.output.contains("running"), "\(status.output)")
    }
}
