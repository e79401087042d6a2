internal import ArgumentParser
internal import ComputeKit
internal import Foundation
internal import Jobs
internal import Logging
internal import Sandbox
internal import ServiceKit

/// qat-evald: evaluates models, and serves them.
@main
struct EvaluationDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qat-evald",
        abstract:
            "Evaluates models (perplexity, accuracy, public tasks, code, generation speed) and serves them.",
        discussion: """
            Registers with the gateway and runs one job at a time in a child process. Settings come
            from a file (--config), the environment (QAT_…) and flags, the later ones winning.
            """,
        version: SuiteVersion.current,
        subcommands: [Run.self, Health.self, SandboxCommand.self, Compute.self],
        defaultSubcommand: Run.self
    )

    static let defaults = DaemonConfiguration.Defaults(
        role: .eval,
        listen: "127.0.0.1:7446",
        ownKeys: ["allow-code-execution"]
    )

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Runs the daemon.")
        @OptionGroup var options: DaemonOptions
        @Option(
            help: ArgumentHelp(
                """
                Lets jobs run programs that models wrote, in a sandbox, by this interpreter of Python; without it \
                no such job comes here. [QAT_ALLOW_CODE_EXECUTION]
                """,
                valueName: "path"
            )
        )
        var allowCodeExecution: String?

        func run() async throws {
            let settings = try DaemonMain.configuration(options, EvaluationDaemon.defaults)
            var tools = WorkerTools()
            tools.codeInterpreter = allowCodeExecution ?? settings.own["allow-code-execution"]
            if let path = tools.codeInterpreter {
                let found = try EvaluationDaemon.sandbox(path)
                settings.makeLogger("qat-evald").info("\(found)")
            }
            try await WorkerDaemon(configuration: settings, tools: tools).run()
        }
    }

    /// What holds programs of models here, in a sentence.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`) where the least that is needed is missing.
    private static func sandbox(_ path: String) throws -> String {
        do {
            let interpreter = try PythonInterpreter(path: path)
            let support = try SandboxSupport(of: interpreter)
            return "models' programs run by Python \(interpreter.version) under \(support.sentence)"
        } catch let error as SandboxError {
            throw ServiceError(
                .invalidConfiguration,
                "--allow-code-execution: \(error.message)"
            )
        }
    }

    struct Health: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "healthcheck",
            abstract: "Exits with 0 when the daemon is ready."
        )
        @OptionGroup var options: DaemonOptions

        func run() async throws {
            try await HealthProbe.check(
                try DaemonMain.configuration(options, EvaluationDaemon.defaults)
            )
        }
    }

    struct Compute: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs one job for the daemon that started it.",
            shouldDisplay: false
        )

        func run() {
            ComputeChild.run { request, reporter in
                try JobFailure.translating(request) {
                    if request.kind == Kind.serve.rawValue {
                        try ServeJob(request, reporter).run()
                    } else {
                        try EvaluationJob(request, reporter).run()
                    }
                }
            }
        }
    }

    static func main() async {
        await DaemonMain.run(Self.self)
    }
}
