internal import JobInputs
internal import JobSpecs
internal import ServiceKit
internal import Transformer

/// Programs that the model writes, run with their tests in a sandbox: pass@k.
struct HumanEvalTask: EvaluationTask {
    let index: Int
    let settings: EvaluateSpec.CodeProblems
    let problems: [CodeProblem]
    let runner: CodeRunner
    let samples: SampleFile
    let seed: UInt64

    /// A task of a job: its problems are read and its sandbox is tried before any model is loaded.
    init(
        index: Int,
        settings: EvaluateSpec.CodeProblems,
        seed: UInt64,
        _ request: ComputeRequest,
        log: (String) -> Void
    ) throws {
        self.index = index
        self.settings = settings
        self.seed = seed
        problems = try CodeProblem.read(
            path: try request.path("/tasks/\(index)/problems"),
            limit: settings.limit
        )
        runner = try CodeRunner(request, timeoutSeconds: settings.timeoutSeconds, log: log)
        samples = SampleFile(index, .humaneval, in: request.outputFolder)
    }

    func effort(on plan: EvaluationSubject.Plan) -> TaskEffort {
        TaskEffort(
            count: problems.count * settings.sampleCount,
            tokenCount: settings.maximumTokens
        )
    }

    /// A line of the samples' file.
    private struct Row: Encodable {
        let model: String
        let taskId: String
        let sample: Int
        let completion: String
        let tokens: Int
        let passed: Bool
        let result: String
        let processorS: Double
        let wallS: Double
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        let generator = try CompletionGenerator(
            subject,
            settings,
            prompts: problems,
            seed: seed
        )
        var passed: [Int] = []
        for (number, problem) in problems.enumerated() {
            let completions = try (0..<settings.sampleCount).map { sample in
                let made = try generator.completion(of: problem) { done in
                    try subject.advance("humaneval", done, of: settings.maximumTokens)
                }
                try subject.finishStep(
                    "humaneval",
                    number * settings.sampleCount + sample + 1,
                    of: problems.count * settings.sampleCount,
                    tokenCount: settings.maximumTokens
                )
                return made
            }
            let runs = try runner.run(problem, completions.map(\.text))
            passed.append(runs.count { $0.verdict.isPassed })
            for (sample, (made, run)) in zip(completions, runs).enumerated() {
                try samples.append(
                    Row(
                        model: subject.label,
                        taskId: problem.id,
                        sample: sample,
                        completion: made.text,
                        tokens: made.tokenCount,
                        passed: run.verdict.isPassed,
                        result: run.verdict.words,
                        processorS: run.processorSeconds,
                        wallS: run.wallSeconds
                    )
                )
            }
        }
        return measurements(passed)
    }

    /// `passed`: How many programs of each problem pass.
    private func measurements(_ passed: [Int]) -> [Measurement] {
        settings.k.compactMap { k in
            guard let name = EvaluateSpec.CodeProblems.metric(k) else { return nil }
            let sum = passed.reduce(0.0) {
                $0 + PassAtK.estimate(k, count: settings.sampleCount, passed: $1)
            }
            let mean = sum / Double(passed.count)
            return Measurement(
                task: .humaneval,
                index: index,
                text: settings.file,
                name: name,
                value: mean,
                interval: PassAtK.interval(mean: mean, count: passed.count),
                count: passed.count
            )
        }
    }
}
