internal import Dispatch
internal import JobInputs
internal import Jobs
internal import Sandbox
internal import ServiceKit
internal import Synchronization

/// Runs programs of models, several at a time, in the sandbox that this worker has.
struct CodeRunner: Sendable {
    /// A program that was run.
    struct Run: Sendable {
        let verdict: CodeProgram.Verdict
        let processorSeconds: Double
        let wallSeconds: Double
    }

    let sandbox: Sandbox
    /// Programs at a time.
    let width: Int

    /// A runner in what the job's worker allows.
    ///
    /// - Throws: ``ComputeFailure`` if it does not allow any, or its sandbox does not stand.
    init(_ request: ComputeRequest, timeoutSeconds: Double, log: (String) -> Void) throws {
        guard let path = request.codeInterpreter else {
            throw ComputeFailure(
                .userError,
                "this worker runs no code that models wrote; its operator may allow it by "
                    + "--allow-code-execution"
            )
        }
        do {
            let interpreter = try PythonInterpreter(path: path)
            let support = try SandboxSupport(of: interpreter)
            log("programs run by Python \(interpreter.version) under \(support.sentence)")
            sandbox = Sandbox(
                interpreter,
                support: support,
                limits: SandboxLimits(processorSeconds: timeoutSeconds)
            )
        } catch let error as SandboxError {
            throw ComputeFailure(.internalError, error.message)
        }
        width = max(1, request.threads)
    }

    init(sandbox: Sandbox, width: Int) {
        self.sandbox = sandbox
        self.width = width
    }

    /// What becomes of completions of a problem, in their order.
    ///
    /// - Throws: ``ComputeFailure`` (`internalError`) if a program could not be started.
    func run(_ problem: CodeProblem, _ completions: [String]) throws -> [Run] {
        var runs: [Run] = []
        while runs.count < completions.count {
            let first = runs.count
            let count = min(width, completions.count - first)
            let found = Mutex<[Int: Result<Run, any Error>]>([:])
            DispatchQueue.concurrentPerform(iterations: count) { index in
                let result = Result { try run(problem, completions[first + index]) }
                found.withLock { $0[index] = result }
            }
            let results = found.withLock { $0 }.sorted { $0.key < $1.key }
            runs += try results.map { try $0.value.get() }
        }
        return runs
    }

    private func run(_ problem: CodeProblem, _ completion: String) throws -> Run {
        let program = CodeProgram(problem, completion: completion)
        do {
            let outcome = try sandbox.run(program.text)
            return Run(
                verdict: program.verdict(outcome),
                processorSeconds: outcome.processorSeconds,
                wallSeconds: outcome.wallSeconds
            )
        } catch let error as SandboxError {
            throw ComputeFailure(.internalError, "\(problem.id): \(error.message)")
        }
    }
}
