internal import ArgumentParser
internal import Foundation
internal import JobInputs
internal import Sandbox

/// `sandbox`: what this machine has of one, and whether reference solutions pass in it.
struct SandboxCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox",
        abstract: "Says what holds programs that models wrote here, and tries it."
    )

    @Option(help: "The interpreter of Python, by its full path.")
    var allowCodeExecution = "/usr/bin/python3"
    @Option(help: "HumanEval.jsonl: its reference solutions are run, and all have to pass.")
    var problems: String?
    @Option(help: "Seconds of a processor for each.")
    var timeout = 3.0
    @Option(help: "Programs at a time; all processors by default.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    func validate() throws {
        guard timeout > 0, timeout <= 600, (1...256).contains(threads) else {
            throw ValidationError("--timeout takes 0 to 600, --threads 1 to 256.")
        }
    }

    func run() throws {
        let interpreter = try PythonInterpreter(path: allowCodeExecution)
        let support = try SandboxSupport(of: interpreter)
        print("Python \(interpreter.version) at \(interpreter.path)")
        print(support.sentence)
        guard let problems else { return }
        let runner = CodeRunner(
            sandbox: Sandbox(
                interpreter,
                support: support,
                limits: SandboxLimits(processorSeconds: timeout)
            ),
            width: threads
        )
        try check(CodeProblem.read(path: problems), runner)
    }

    /// Reference solutions pass, and the same with their functions' bodies left out do not.
    private func check(_ problems: [CodeProblem], _ runner: CodeRunner) throws {
        let start = ContinuousClock.now
        var failed = 0
        var longest = 0.0
        for problem in problems {
            let runs = try runner.run(problem, [problem.solution, "    pass\n"])
            longest = max(longest, runs[0].processorSeconds)
            for (run, isExpected, name) in [
                (runs[0], true, "the reference solution"), (runs[1], false, "an empty one"),
            ] where run.verdict.isPassed != isExpected {
                failed += 1
                print("\(problem.id): \(name): \(run.verdict.words)")
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(
            String(
                format:
                    "%d problems: reference solutions pass, empty ones fail, but for %d; %.1f s, "
                    + "the longest %.2f s of a processor",
                problems.count,
                failed,
                seconds,
                longest
            )
        )
        guard failed == 0 else { throw ExitCode.failure }
    }
}
