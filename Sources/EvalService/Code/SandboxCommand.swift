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
        var passed = [0, 0]
        var longest = 0.0
        for problem in problems {
            let runs = try runner.run(problem, [problem.solution, "    pass\n"])
            longest = max(longest, runs[0].processorSeconds)
            for (index, run) in runs.enumerated() {
                if run.verdict.isPassed { passed[index] += 1 }
                guard run.verdict.isPassed != (index == 0) else { continue }
                failed += 1
                let name = index == 0 ? "the reference solution" : "an empty one"
                print("\(problem.id): \(name): \(run.verdict.words)")
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(
            String(
                format:
                    "%d of %d reference solutions pass, %d empty ones; %.1f s, the longest %.2f s of a "
                    + "processor",
                passed[0],
                problems.count,
                passed[1],
                seconds,
                longest
            )
        )
        guard failed == 0 else { throw ExitCode.failure }
    }
}
