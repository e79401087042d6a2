internal import ArgumentParser

/// The help of a daemon: that of its command, with the flags of the verb that runs when none is named.
enum DaemonHelp {
    private static let heading = "OPTIONS:"

    static func text(of command: any ParsableCommand.Type) -> String {
        let help = command.helpMessage()
        guard let verb = command.configuration.defaultSubcommand else {
            return help
        }
        // A flag's line begins with two spaces and a dash; the lines below it belong to it.
        var isOwn = false
        let flags = lines(below: heading, in: command.helpMessage(for: verb)).filter { line in
            if line.hasPrefix("  -") {
                isOwn = !line.hasPrefix("  --version") && !line.hasPrefix("  -h,")
            }
            return isOwn
        }
        return help.replacing(
            heading + "\n",
            with: ([heading[...]] + flags).joined(separator: "\n") + "\n",
            maxReplacements: 1
        )
    }

    /// The lines of a section, up to an empty one.
    private static func lines(below heading: String, in text: String) -> [Substring] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(of: heading[...]) else {
            return []
        }
        return Array(lines[(start + 1)...].prefix { !$0.isEmpty })
    }
}
