public import ArgumentParser
internal import Foundation

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
        // A terminal that goes away is no reason to stop, however early that is.
        signal(SIGHUP, SIG_IGN)
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
            let message = command.message(for: error)
            let isHelp = command.exitCode(for: error) == .success
            let isUsage = command.exitCode(for: error) == .validationFailure
            let isConfiguration = (error as? ServiceError)?.code == .invalidConfiguration
            if isHelp || isUsage {
                command.exitWithFullMessage(error, status: isHelp ? 0 : 2)
            }
            FileHandle.standardError.write(Data("error: \(message)\n".utf8))
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
        let handle = status == 0 ? FileHandle.standardOutput : FileHandle.standardError
        do {
            try handle.write(contentsOf: Data((text + "\n").utf8))
        } catch {
            FileHandle.standardError.write(Data("error: cannot write the output\n".utf8))
            Foundation.exit(1)
        }
        Foundation.exit(status)
    }
}
