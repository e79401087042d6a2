internal import ArgumentParser
internal import JobSpecs

/// Finds out that a word is no verb before the parser takes it for an argument.
enum VerbSpelling {
    /// Checks the verbs at the start of a command line, those of groups such as `local` among them.
    ///
    /// - Throws: ``ClientError`` (`usage`) with the verb that is meant, or all that there are.
    static func check(
        _ arguments: [String],
        of command: any ParsableCommand.Type
    ) throws {
        let verbs = command.configuration.subcommands
        // Help, a version and flags are the parser's to answer, but for help of what there is not.
        guard !verbs.isEmpty, let word = arguments.first, !word.hasPrefix("-") else { return }
        guard word != "help" else {
            return try check(Array(arguments.dropFirst()), of: command)
        }
        for verb in verbs where name(of: verb) == word {
            return try check(Array(arguments.dropFirst()), of: verb)
        }
        let isWhole = command == QatClient.self
        let group = name(of: command)
        let all = names(verbs)
        let hint =
            known(word.lowercased(), in: isWhole ? "" : group)
            ?? NearestKey.suggestion(for: word, among: all).map { "did you mean \"\($0)\"?" }
            ?? (isWhole ? ofGroup(word, verbs) : nil)
            ?? "expected one of \(all.joined(separator: ", "))"
        let quoted = TerminalText.quoted(word)
        throw ClientError(
            .usage,
            "\(isWhole ? "qat-client" : group) has no verb \(quoted); \(hint)"
        )
    }

    /// What other tools (docker, kubectl, slurm, shells) call a verb of a group; those of no group under "".
    static let synonyms: [String: [String: [String]]] = [
        "": [
            "stop": ["cancel"], "kill": ["cancel --now"], "scancel": ["cancel"],
            "abort": ["cancel"], "terminate": ["cancel --now"],
            "rm": ["jobs rm", "artifacts rm"], "delete": ["jobs rm", "artifacts rm"],
            "remove": ["jobs rm", "artifacts rm"], "del": ["jobs rm", "artifacts rm"],
            "prune": ["artifacts gc", "jobs rm --older-than"],
            "ps": ["status"], "ls": ["status", "artifacts ls"], "list": ["status", "artifacts ls"],
            "squeue": ["status"], "show": ["status JOB"], "inspect": ["status JOB"],
            "describe": ["status JOB"], "info": ["status JOB"],
            "log": ["logs"], "tail": ["logs --follow"], "top": ["status", "watch"],
            "follow": ["watch"], "attach": ["watch"], "events": ["watch"],
            "run": ["submit"], "create": ["submit"], "apply": ["submit"], "sbatch": ["submit"],
            "hold": ["pause"], "suspend": ["pause"], "freeze": ["pause"], "unpause": ["resume"],
            "continue": ["resume"], "unsuspend": ["resume"], "release": ["resume"],
            "restart": ["retry"], "rerun": ["retry"],
            "start": ["local up", "submit"], "upload": ["artifacts put"],
            "push": ["artifacts put"], "pull": ["download", "artifacts get"],
            "fetch": ["download", "artifacts get"],
        ],
        "jobs": [
            "ls": ["status"], "list": ["status"], "show": ["status JOB"], "get": ["status JOB"],
            "cancel": ["cancel"], "stop": ["cancel"], "kill": ["cancel --now"],
            "delete": ["jobs rm"], "remove": ["jobs rm"], "logs": ["logs"], "retry": ["retry"],
            "pause": ["pause"], "resume": ["resume"], "submit": ["submit"], "watch": ["watch"],
            "wait": ["wait"],
        ],
        "artifacts": [
            "list": ["artifacts ls"], "delete": ["artifacts rm"], "remove": ["artifacts rm"],
            "upload": ["artifacts put"], "push": ["artifacts put"],
            "download": ["artifacts get", "download"], "pull": ["artifacts get"],
            "fetch": ["artifacts get"], "prune": ["artifacts gc"], "check": ["artifacts verify"],
            "lint": ["artifacts verify"], "diff": ["artifacts verify --source"],
        ],
        "local": [
            "start": ["local up"], "run": ["local up"], "stop": ["local down"],
            "kill": ["local down"], "ps": ["local status"], "ls": ["local status"],
        ],
        "certs": [
            "ls": ["certs list"], "show": ["certs list"], "create": ["certs init", "certs issue"],
            "new": ["certs issue"], "renew": ["certs issue --force"], "sign": ["certs issue"],
        ],
    ]

    private static func known(_ word: String, in group: String) -> String? {
        synonyms[group]?[word].map { "did you mean \(choice($0))?" }
    }

    /// The verb of a group that is written without it, as `up` for `local up`.
    private static func ofGroup(_ word: String, _ verbs: [any ParsableCommand.Type]) -> String? {
        let found = verbs.filter { group in
            names(group.configuration.subcommands).contains(word)
        }
        guard !found.isEmpty else { return nil }
        return "did you mean \(choice(found.map { "\(name(of: $0)) \(word)" }))?"
    }

    private static func choice(_ lines: [String]) -> String {
        lines.map { "\"\($0)\"" }.joined(separator: " or ")
    }

    private static func names(_ verbs: [any ParsableCommand.Type]) -> [String] {
        verbs.filter { $0.configuration.shouldDisplay }.map { name(of: $0) }
    }

    private static func name(of command: any ParsableCommand.Type) -> String {
        command._commandName
    }
}
