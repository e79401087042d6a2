internal import Inference
internal import JobInputs
internal import JobSpecs
internal import ServiceKit

/// Programs that the model writes, run with their tests in a sandbox: pass@k.
final class HumanEvalTask: EvaluationTask {
    private let index: Int
    private let settings: EvaluateSpec.CodeProblems
    private let problems: [CodeProblem]
    private let runner: CodeRunner
    private let samples: SampleFile
    private let seed: UInt64
    private var answers: PairedAnswers

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
        answers = PairedAnswers(subjects: problems.map { _ in nil }, seed: seed)
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
        let asking = try CompletionRequests(subject, settings, problems, seed: seed)
        let texts = try subject.write(
            asking.requests,
            length: asking.length,
            task: "humaneval",
            tokenCount: settings.maximumTokens
        )
        var passed: [Int] = []
        for (number, problem) in problems.enumerated() {
            let first = number * settings.sampleCount
            let completions = texts[first..<first + settings.sampleCount]
            let runs = try runner.run(problem, completions.map(\.text))
            passed.append(runs.count { $0.verdict.isPassed })
            for (sample, (made, run)) in zip(completions, runs).enumerated() {
                try samples.append(
                    Row(
                        model: subject.label,
                        taskId: problem.id,
                        sample: sample,
                        completion: made.text,
                        tokens: made.tokens.count,
                        passed: run.verdict.isPassed,
                        result: run.verdict.words,
                        processorS: run.processorSeconds,
                        wallS: run.wallSeconds
                    )
                )
            }
            try subject.say("humaneval programs \(number + 1)/\(problems.count)")
        }
        let figures = settings.k.compactMap { values(passed, k: $0) }
        let measurements = figures.map(measurement)
        answers.add(subject.label, figures, measurements)
        return measurements
    }

    func comparisons(of labels: [String]) -> [Comparison] { answers.comparisons(of: labels) }

    /// `passed`: How many programs of each problem pass.
    private func values(_ passed: [Int], k: Int) -> PairedAnswers.Values? {
        EvaluateSpec.CodeProblems.metric(k).map { name in
            PairedAnswers.Values(
                name: name,
                values: passed.map {
                    PassAtK.estimate(k, count: settings.sampleCount, passed: $0)
                },
                isBinary: settings.sampleCount == 1
            )
        }
    }

    private func measurement(_ figure: PairedAnswers.Values) -> Measurement {
        let mean = figure.values.reduce(0, +) / Double(figure.values.count)
        return Measurement(
            task: .humaneval,
            index: index,
            text: settings.file,
            name: figure.name,
            value: mean,
            interval: PassAtK.interval(mean: mean, count: figure.values.count),
            count: figure.values.count
        )
    }
}
