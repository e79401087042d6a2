public import ArgumentParser
internal import CSignals
internal import Foundation
internal import Protocol

/// What the `@main` of every daemon does around its command.
public enum DaemonMain {
    /// Merges flags, the process's environment and the configuration file.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`).
    public static func configuration(
        _ options: DaemonOptions,
        _ defaults: DaemonConfiguration.Defaults
    ) throws -> DaemonConfiguration {
        try DaemonConfiguration(
            options: options,
            environment: ProcessInfo.processInfo.environment,
            defaults: defaults,
            isTerminal: isatty(STDERR_FILENO) == 1
        )
    }

    /// Parses the arguments and runs the command; wrong usage and settings exit with 2, other
    /// failures with 1, each with one line on standard error.
    public static func run(_ command: any AsyncParsableCommand.Type) async {
        qat_ignore_hangups()
        let arguments = CommandLine.arguments.dropFirst()
        if arguments == ["--help"] || arguments == ["-h"] {
            command.exitWithText(DaemonHelp.text(of: command), status: 0)
        }
        do {
            var parsed = try command.parseAsRoot()
            if var asynchronous = parsed as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try parsed.run()
            }
        } catch {
            let isHelp = command.exitCode(for: error) == .success
            let isUsage = command.exitCode(for: error) == .validationFailure
            let isConfiguration = (error as? ServiceError)?.code == .invalidConfiguration
            if isHelp || isUsage {
                command.exitWithFullMessage(error, status: isHelp ? 0 : 2)
            }
            let message =
                FileFault(error)?.description ?? (error as? RPCError)?.message
                ?? command.message(for: error)
            StandardStreams.complain("error: \(message)")
            exit(isConfiguration ? 2 : 1)
        }
    }
}

extension AsyncParsableCommand {
    fileprivate static func exitWithFullMessage(_ error: any Error, status: Int32) -> Never {
        exitWithText(fullMessage(for: error), status: status)
    }

    /// A text that cannot be written, for a full disk, is no success.
    fileprivate static func exitWithText(_ text: String, status: Int32) -> Never {
        guard status == 0 else {
            StandardStreams.complain(text)
            Foundation.exit(status)
        }
        let number = StandardStreams.print(text)
        // A reader that goes away, as `| head` does, has what it wants.
        guard number == 0 || number == EPIPE else {
            StandardStreams.complain(
                "error: cannot write the output: \(String(cString: strerror(number)))"
            )
            Foundation.exit(1)
        }
        Foundation.exit(0)
    }
}
