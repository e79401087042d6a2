internal import Foundation
internal import Testing

/// The built client as a process: what it prints where, and how it exits.
@Suite struct ClientProcessTests {
    private let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-client-process-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    /// What a process left behind.
    private struct Outcome {
        let status: Int32
        let output: String
        let errors: String
    }

    /// Runs a command line of bash, in which `qat-client` is the built one.
    private func shell(_ line: String, input: String = "") throws -> Outcome {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
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
        try process.run()
        process.waitUntilExit()
        defer { names.forEach { try? FileManager.default.removeItem(atPath: $0) } }
        return Outcome(
            status: process.terminationStatus,
            output: try String(contentsOfFile: names[1], encoding: .utf8),
            errors: try String(contentsOfFile: names[2], encoding: .utf8)
        )
    }

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    @Test(arguments: [
        "explain train", "explain train --json", "--help", "--version", "local status",
        "--generate-completion-script bash", "help submit",
    ])
    func aFullDiskIsAnError(verb: String) throws {
        defer { remove() }
        let full = try shell("qat-client \(verb) > /dev/full")
        #expect(full.status == 1, "\(full)")
        #expect(
            full.errors
                == "qat-client: error: cannot write the output: No space left on device\n"
        )
    }

    @Test func aReaderThatGoesAwayIsNone() throws {
        defer { remove() }
        let outcome = try shell("qat-client explain train | head -1; echo ${PIPESTATUS[0]}")
        let lines = outcome.output.split(separator: "\n")
        // Ended quietly, by its own exit or by the signal that means the same.
        #expect(lines.count == 2 && ["0", "141"].contains(lines[1]), "\(outcome)")
        #expect(outcome.errors.isEmpty)
    }

    @Test(arguments: [
        ("stauts", "qat-client has no verb \"stauts\"; did you mean \"status\"?"),
        ("sumbit train x.json", "did you mean \"submit\"?"),
        ("local dwon", "did you mean \"down\"?"),
        ("artifacts list", "artifacts has no verb \"list\"; expected one of ls, put, get"),
        ("frobnicate", "expected one of local, submit, status"),
    ])
    func aMisspeltVerbIsAnsweredWithTheRightOne(line: String, expected: String) throws {
        defer { remove() }
        let outcome = try shell("qat-client \(line)")
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains(expected), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }

    @Test func aJobMayComeFromTheStandardInput() throws {
        defer { remove() }
        let job =
            #"{"models":[{"label":"a","model":"job:0000bb03c91c6898"}],"#
            + #""tasks":[{"type":"benchmark"}]}"#
        let line = "qat-client submit - --dry-run --json --set tasks[0].num_runs=7"
        let outcome = try shell(line, input: job)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.output.contains(#""kind":"evaluate","name":"job""#))
        #expect(outcome.output.contains(#""num_runs":7"#))
        let wrong = try shell("qat-client submit -", input: "{")
        #expect(wrong.status == 2)
        #expect(wrong.errors.hasPrefix("qat-client: error: standard input: "), "\(wrong.errors)")
    }

    @Test func submitSaysWhatItTakes() throws {
        defer { remove() }
        #expect(try shell("qat-client submit").status == 2)
        let kind = try shell("qat-client submit train")
        #expect(kind.status == 2 && kind.errors.contains("qat-client submit train FILE"))
        #expect(try shell("qat-client submit train a b").status == 2)
        let help = try shell("qat-client help submit").output
        #expect(help.contains("qat-client submit [KIND] FILE") && help.contains("--set"))
    }

    /// Bash itself completes, by the script that the client writes.
    @Test func bashCompletesVerbsAndFlags() throws {
        defer { remove() }
        func complete(_ words: String...) throws -> [String] {
            let list = words.map { "'\($0)'" }.joined(separator: " ")
            let outcome = try shell(
                """
                set -e
                eval "$(qat-client --generate-completion-script bash)"
                function=$(complete -p qat-client | sed 's/.*-F \\([^ ]*\\).*/\\1/')
                COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1)
                COMP_LINE='\(words.joined(separator: " "))'; COMP_POINT=${#COMP_LINE}
                set +e
                $function qat-client '\(words[words.count - 1])' '\(words[words.count - 2])'
                printf '%s\\n' "${COMPREPLY[@]}"
                """
            )
            #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
            return outcome.output.split(separator: "\n").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
        }
        #expect(try complete("qat-client", "sub").contains("submit"))
        #expect(try complete("qat-client", "local", "").contains("up"))
        #expect(try complete("qat-client", "submit", "--dr").contains("--dry-run"))
        #expect(try complete("qat-client", "status", "--state", "qu").contains("queued"))
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func everyProgramWritesCompletions(shell name: String) throws {
        defer { remove() }
        for program in ["qat-client", "qat-gateway", "qat-quantd", "qat-traind", "qat-evald"] {
            let outcome = try shell("\(program) --generate-completion-script \(name)")
            #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(program): \(outcome.errors)")
            let words = program == "qat-client" ? ["submit", "dry-run"] : ["healthcheck", "state"]
            for word in words { #expect(outcome.output.contains(word), "\(program) \(word)") }
        }
    }

    @Test(arguments: ["qat-gateway", "qat-quantd", "qat-traind", "qat-evald"])
    func theHelpOfADaemonListsAllItsFlags(program: String) throws {
        defer { remove() }
        let help = try shell("\(program) --help")
        #expect(help.status == 0)
        let flags = [
            "config", "listen", "gateway", "state", "cert", "key", "ca", "instance", "threads",
            "log-level", "log-format",
        ]
        for flag in flags + (program == "qat-gateway" ? ["lease-seconds"] : []) {
            #expect(help.output.contains("--\(flag) <"), "\(program): --\(flag)")
        }
        #expect(help.output.contains("\n  healthcheck ") && !help.output.contains("\n  compute"))
        let full = try shell("\(program) --help > /dev/full")
        #expect(full.status != 0, "\(program)")
    }
}
