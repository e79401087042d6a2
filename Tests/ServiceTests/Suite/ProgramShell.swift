internal import Foundation
internal import TestProgram
internal import Testing

/// Command lines of bash, in which `qat-client` and the daemons are the built ones, in a folder of a test's
/// own.
struct ProgramShell {
    let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-shell-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    /// Runs a command line to its end.
    func run(_ line: String, input: String = "", by program: String = "/bin/bash") throws
        -> TestProgram.Outcome
    {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return try TestProgram.run(
            program,
            ["-c", line],
            environment: [
                "PATH": try LocalSuiteFixture.programFolder() + ":" + path,
                "QAT_HOME": folder + "/home",
                "QAT_GATEWAY": nil,
            ],
            folder: folder,
            input: input
        )
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
