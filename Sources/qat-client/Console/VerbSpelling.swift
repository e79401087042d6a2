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
        let names = verbs.filter { $0.configuration.shouldDisplay }.map { name(of: $0) }
        let hint =
            NearestKey.suggestion(for: word, among: names).map { "did you mean \"\($0)\"?" }
            ?? "expected one of \(names.joined(separator: ", "))"
        let group = command == QatClient.self ? "qat-client" : name(of: command)
        let quoted = TerminalText.quoted(word)
        throw ClientError(.usage, "\(group) has no verb \(quoted); \(hint)")
    }

    private static func name(of command: any ParsableCommand.Type) -> String {
        command._commandName
    }
}
