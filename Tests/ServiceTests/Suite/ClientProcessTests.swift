internal import Foundation
internal import TestProgram
internal import Testing
@testable internal import qat_client

/// The built client as a process: what it prints where, and how it exits.
@Suite struct ClientProcessTests {
    private let programs: ProgramShell

    init() throws { programs = try ProgramShell() }

    private func shell(_ line: String, input: String = "") throws -> TestProgram.Outcome {
        try programs.run(line, input: input)
    }

    private func remove() { programs.remove() }

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

    /// docs/CLIENT.md, Exits.
    ///
    /// Seen: 141, the signal, in most runs: `set -o pipefail` scripts ended there.
    @Test(arguments: [
        "explain train | head -1", "explain train --json | head -c 1", "help submit | head -1",
        "--generate-completion-script zsh | head -1", "explain evaluate | true",
        "submit job.json --dry-run | head -1", "submit job.json --dry-run | true",
    ])
    func aReaderThatGoesAwayIsNone(line: String) throws {
        defer { remove() }
        let job =
            #"{"models":[{"label":"a","model":"job:0000bb03c91c6898"}],"#
            + #""tasks":[{"type":"benchmark"}]}"#
        try Data(job.utf8).write(to: URL(fileURLWithPath: programs.folder + "/job.json"))
        // Slow enough that the reader is often gone first, and often not.
        for _ in 0..<8 {
            let outcome = try shell("set -o pipefail; qat-client \(line)")
            #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
        }
    }

    @Test(arguments: [
        ("help stauts", "did you mean \"status\"?"),
        ("certs issue --dir no --user a", "no/ca.pem: no such file; qat-client certs init"),
        ("stauts", "qat-client has no verb \"stauts\"; did you mean \"status\"?"),
        ("sumbit train x.json", "did you mean \"submit\"?"),
        ("local dwon", "did you mean \"down\"?"),
        ("artifacts list", "artifacts has no verb \"list\"; did you mean \"artifacts ls\"?"),
        ("artifacts frob", "artifacts has no verb \"frob\"; expected one of ls, put, get"),
        ("stop x", "qat-client has no verb \"stop\"; did you mean \"cancel\"?"),
        ("suspend x", "did you mean \"pause\"?"), ("unpause x", "did you mean \"resume\"?"),
        ("jobs pause x", "did you mean \"pause\"?"), ("kill x", "did you mean \"cancel --now\"?"),
        ("ps", "did you mean \"status\"?"),
        ("rm x", "did you mean \"jobs rm\" or \"artifacts rm\"?"),
        ("ls", "did you mean \"status\" or \"artifacts ls\"?"), ("log x", "did you mean \"logs\"?"),
        ("top", "did you mean \"status\" or \"watch\"?"), ("up", "did you mean \"local up\"?"),
        ("LIST", "did you mean \"status\""), ("jobs ls", "did you mean \"status\"?"),
        ("jobs cancel x", "did you mean \"cancel\"?"), ("gc", "did you mean \"artifacts gc\"?"),
        ("local stop", "did you mean \"local down\"?"), ("help stop", "did you mean \"cancel\"?"),
        ("frobnicate", "expected one of local, submit, status"),
    ])
    func aMisspeltVerbIsAnsweredWithTheRightOne(line: String, expected: String) throws {
        defer { remove() }
        let outcome = try shell("qat-client \(line)")
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains(expected), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }

    /// What a hint says to write is there.
    @Test func everyHintLeadsToAVerb() throws {
        for (group, words) in VerbSpelling.synonyms {
            for (word, hints) in words {
                let line = (group.isEmpty ? [word] : [group, word])
                let error = #expect(throws: ClientError.self, "\(line)") {
                    try VerbSpelling.check(line, of: QatClient.self)
                }
                for hint in hints {
                    #expect(error?.lines.first?.contains("\"\(hint)\"") == true)
                    let verbs = hint.split(separator: " ").map(String.init)
                    try VerbSpelling.check(verbs, of: QatClient.self)
                    // Of a group, with a verb of the group.
                    let isGroup = ["jobs", "artifacts", "local", "certs"].contains(verbs[0])
                    #expect(!isGroup || verbs.count > 1, "\(hint)")
                }
            }
        }
    }

    /// One list of kinds for all who take one.
    @Test(arguments: [
        ("explain pipline", "did you mean pipeline?"), ("explain trian", "did you mean train?"),
        ("explain x", "expected one of quantize, train, evaluate, serve, pipeline"),
        ("submit pipline x.json", "did you mean pipeline?"),
        ("submit frob x.json", "expected one of quantize, train, evaluate, serve, pipeline"),
        ("status --kind trian", "did you mean train?"),
    ])
    func aMisspeltKindIsAnsweredWithTheRightOne(line: String, expected: String) throws {
        defer { remove() }
        let outcome = try shell("qat-client \(line)")
        #expect(outcome.status == 2 && outcome.errors.contains(expected), "\(outcome)")
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
