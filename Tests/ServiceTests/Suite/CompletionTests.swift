internal import Foundation
internal import TestProgram
internal import Testing

/// Completions as the shells make them, by the scripts that the programs write.
@Suite struct CompletionTests {
    private let programs: ProgramShell

    init() throws { programs = try ProgramShell() }

    /// Every verb with options that were added late, and some of these; values are of an option.
    static let lines: [(words: [String], expected: [String])] = [
        (["sub"], ["submit"]), (["jo"], ["jobs"]), (["local", ""], ["up", "down", "status"]),
        (["jobs", ""], ["rm"]), (["explain", "pi"], ["pipeline"]),
        (["certs", ""], ["init", "issue", "list"]),
        (["artifacts", ""], ["ls", "put", "get", "verify", "rm", "gc"]),
        (["submit", "--dr"], ["--dry-run"]), (["submit", "--aft"], ["--after"]),
        (["submit", "--prio"], ["--priority"]), (["submit", "--dead"], ["--deadline"]),
        (["submit", "--reu"], ["--reuse"]), (["submit", "--se"], ["--set"]),
        (["submit", "--priority", "hi"], ["high"]), (["status", "--state", "qu"], ["queued"]),
        (["status", "--state", "pau"], ["paused"]), (["pau"], ["pause"]), (["resu"], ["resume"]),
        (["status", "--kind", "ev"], ["evaluate"]), (["status", "--mi"], ["--mine"]),
        (["jobs", "rm", "--old"], ["--older-than"]), (["jobs", "rm", "--dry"], ["--dry-run"]),
        (["jobs", "rm", "--state", "fai"], ["failed"]),
        (["artifacts", "gc", "--old"], ["--older-than"]),
        (["artifacts", "verify", "--al"], ["--all"]),
        (["artifacts", "get", "--over"], ["--overwrite"]),
        (["download", "--over"], ["--overwrite"]), (["retry", "--with"], ["--with-dependents"]),
        (["cancel", "--no"], ["--now"]), (["certs", "list", "--wi"], ["--within"]),
    ]

    @Test func bashCompletesVerbsOptionsAndValues() throws {
        defer { programs.remove() }
        // One process for all: the script is long.
        let calls = Self.lines.map { words, _ -> String in
            let words = ["qat-client"] + words
            let list = words.map { "'\($0)'" }.joined(separator: " ")
            return """
                COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1); COMPREPLY=()
                COMP_LINE='\(words.joined(separator: " "))'; COMP_POINT=${#COMP_LINE}
                $function qat-client '\(words[words.count - 1])' '\(words[words.count - 2])'
                echo "${COMPREPLY[*]}"
                """
        }
        let outcome = try programs.run(
            """
            eval "$(qat-client --generate-completion-script bash)"
            function=$(complete -p qat-client | sed 's/.*-F \\([^ ]*\\).*/\\1/')
            \(calls.joined(separator: "\n"))
            """
        )
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
        Self.check(outcome.output)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/fish")))
    func fishCompletesVerbsOptionsAndValues() throws {
        defer { programs.remove() }
        let calls = Self.lines.map { words, _ in
            "echo (complete -C 'qat-client \(words.joined(separator: " "))')"
        }
        let outcome = try programs.run(
            """
            qat-client --generate-completion-script fish | source
            \(calls.joined(separator: "\n"))
            """,
            by: "/usr/bin/fish"
        )
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
        Self.check(outcome.output)
    }

    /// zsh completes in a terminal only; its parser at least has to take the script.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/zsh")))
    func zshTakesTheScript() throws {
        defer { programs.remove() }
        let outcome = try programs.run(
            "qat-client --generate-completion-script zsh >_qat-client; zsh -n _qat-client"
        )
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
    }

    private static func check(_ output: String) {
        let answers = output.split(separator: "\n", omittingEmptySubsequences: false)
        for ((words, expected), answer) in zip(lines, answers) {
            let found = answer.split(whereSeparator: \.isWhitespace).map(String.init)
            for word in expected { #expect(found.contains(word), "\(words): \(found)") }
        }
        #expect(answers.count > lines.count - 1)
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func everyProgramWritesCompletions(shell name: String) throws {
        defer { programs.remove() }
        for program in ["qat-client", "qat-gateway", "qat-quantd", "qat-traind", "qat-evald"] {
            let outcome = try programs.run("\(program) --generate-completion-script \(name)")
            #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(program): \(outcome.errors)")
            var words = ["healthcheck", "state"]
            switch program {
            case "qat-client":
                words = Self.lines.flatMap(\.expected).map { $0.replacing("--", with: "") }
            case "qat-gateway":
                words += ["backup", "restore", "reread", "accept-gaps", "keep-jobs"]
            default: break
            }
            for word in words { #expect(outcome.output.contains(word), "\(program) \(word)") }
        }
    }
}
