internal import Foundation
internal import TestProgram
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
        let notes = suite.folder + "/notes"
        let client = try TestProgram(
            try LocalSuiteFixture.programFolder() + "/qat-client",
            ["local", "up", "--port", "\(port)"],
            environment: suite.environment,
            errors: .file(notes)
        )
        defer { client.signal(SIGTERM) }
        func noted() throws -> String { try String(contentsOfFile: notes, encoding: .utf8) }
        try await wait("it is up") { try noted().contains("Ctrl-C stops it") }

        let status = try suite.json(try suite.client("local", "status", "--json").output)
        let daemons = try #require(status["daemons"] as? [[String: Any]])
        let supervisor = try #require(status["supervisor_pid"] as? Int)
        let processes = daemons.compactMap { $0["pid"] as? Int }.map(Int32.init)
        #expect(processes.count == 4)
        #expect(processes.allSatisfy(isAlive))

        // What a client left that was killed so goes, too.
        let leftover = suite.folder + "/home/local/run/stop.tmp"
        try Data().write(to: URL(fileURLWithPath: leftover))
        for number in numbers {
            client.signal(number)
            try await Task.sleep(for: .milliseconds(5))
        }
        try await wait("it has ended") { !client.isRunning }
        #expect(!FileManager.default.fileExists(atPath: leftover))
        #expect(client.poll() == .exited(0))
        #expect(try noted().hasSuffix("stopping\n"))
        #expect(!(processes + [Int32(supervisor)]).contains(where: isAlive))
    }

    /// The programs with a worker among them that starts and never calls the gateway: `local up` starts
    /// until a signal comes, however fast the machine is.
    private func silentPrograms(_ folder: String) throws -> String {
        let programs = try LocalSuiteFixture.programFolder()
        let manager = FileManager.default
        try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["qat-gateway", "qat-quantd", "qat-traind"] {
            try manager.createSymbolicLink(
                atPath: "\(folder)/\(name)",
                withDestinationPath: "\(programs)/\(name)"
            )
        }
        // It looks for the others beside itself, where links lead.
        try TestProgram.install(copyOf: programs + "/qat-client", at: folder + "/qat-client")
        try TestProgram.install(script: "exec sleep 600", at: folder + "/qat-evald")
        return folder
    }

    @Test func aSignalWhileItStartsStopsIt() async throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        let programs = try silentPrograms(suite.folder + "/programs")
        let port = try LocalSuiteFixture.freePort()
        let client = try TestProgram(
            programs + "/qat-client",
            ["local", "up", "--port", "\(port)"],
            environment: suite.environment
        )
        defer { client.signal(SIGTERM) }
        var started: [Int32] = []
        try await wait("all four run") {
            let status = try suite.json(try suite.client("local", "status", "--json").output)
            let daemons = status["daemons"] as? [[String: Any]] ?? []
            started = daemons.compactMap { $0["pid"] as? Int }.map(Int32.init)
            return started.count == 4
        }
        client.signal(SIGINT)
        try await wait("it has ended") { !client.isRunning }
        #expect(client.poll() == .exited(3))
        #expect(!started.contains(where: isAlive))
        let status = try suite.client("local", "status")
        #expect(status.status == 1 && !status.output.contains("running"), "\(status.output)")
    }
}
