internal import Foundation
internal import Testing

/// Command lines of bash, in which `qat-client` and the daemons are the built ones, in a folder of a test's
/// own.
struct ProgramShell {
    let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-shell-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    /// What a process left behind.
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String
    }

    /// Runs a command line to its end.
    func run(_ line: String, input: String = "", by program: String = "/bin/bash") throws -> Outcome
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["-c", line]
        var environment = ProcessInfo.processInfo.environment
        let path = environment["PATH"] ?? "/usr/bin:/bin"
        environment["PATH"] = try LocalSuiteFixture.programFolder() + ":" + path
        environment["QAT_HOME"] = folder + "/home"
        environment["QAT_GATEWAY"] = nil
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        let names = ["in", "out", "err"].map { folder + "/\($0)-" + UUID().uuidString }
        try Data(input.utf8).write(to: URL(fileURLWithPath: names[0]))
        for name in names.dropFirst() { try Data().write(to: URL(fileURLWithPath: name)) }
        process.standardInput = FileHandle(forReadingAtPath: names[0])
        process.standardOutput = FileHandle(forWritingAtPath: names[1])
        process.standardError = FileHandle(forWritingAtPath: names[2])
        try process.begin()
        process.waitUntilExit()
        defer { names.forEach { try? FileManager.default.removeItem(atPath: $0) } }
        return Outcome(
            status: process.terminationStatus,
            output: try String(contentsOfFile: names[1], encoding: .utf8),
            errors: try String(contentsOfFile: names[2], encoding: .utf8)
        )
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
