internal import ComputeKit
internal import Formats
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// One evaluation job: every task on every model, one row per model.
struct EvaluationJob {
    private let spec: EvaluateSpec
    private let request: ComputeRequest
    private let reporter: ComputeReporter
    private let team: ThreadTeam
    private let interval: Duration

    /// `interval`: Time between reports within a step.
    init(
        _ request: ComputeRequest,
        _ reporter: ComputeReporter,
        interval: Duration = .seconds(5)
    ) throws {
        self.interval = interval
        let (spec, _) = try JobSpecification.read(request, service: "evaluates") {
            job -> EvaluateSpec? in
            if case .evaluate(let spec) = job { spec } else { nil }
        }
        self.spec = spec
        self.request = request
        self.reporter = reporter
        team = ThreadTeam(threadCount: request.threads)
        reporter.follow { [team] in team.pieceCount }
    }

    private func task(
        _ task: EvaluateSpec.Task,
        index: Int
    ) throws -> any EvaluationTask {
        func path() throws -> String { try request.path("/tasks/\(index)/text") }
        func paths(
            of task: EvaluateSpec.QuestionFiles
        ) throws -> (questions: [String], examples: [String]) {
            func paths(_ key: String, _ names: [String]) throws -> [String] {
                try names.indices.map { try request.path("/tasks/\(index)/\(key)/\($0)") }
            }
            return (
                try paths("questions", task.questions), try paths("examples", task.examples)
            )
        }
        switch task {
        case .perplexity(let windows):
            return WindowsTask(
                .perplexity,
                index: index,
                windows: windows,
                path: try path(),
                seed: spec.seed
            )
        case .accuracy(let windows):
            return WindowsTask(
                .accuracy,
                index: index,
                windows: windows,
                path: try path(),
                seed: spec.seed
            )
        case .divergence(let windows, let reference):
            return DivergenceTask(
                index: index,
                windows: windows,
                reference: reference,
                path: try path()
            )
        case .benchmark(let settings):
            return BenchmarkTask(index: index, settings: settings)
        case .code(let problems):
            return try HumanEvalTask(
                index: index,
                settings: problems,
                seed: spec.seed,
                request
            ) { reporter.log($0) }
        case .choices(let questions):
            let paths = try paths(of: questions)
            return try ChoiceQuestionsTask(
                index: index,
                settings: questions,
                questions.choices(questions: paths.questions, examples: paths.examples),
                samples: SampleFile(index, questions.type, in: request.outputFolder),
                seed: spec.seed
            )
        case .problems(let questions):
            let paths = try paths(of: questions)
            return try WordProblemsTask(
                index: index,
                settings: questions,
                questions.problems(questions: paths.questions, examples: paths.examples),
                samples: SampleFile(index, questions.type, in: request.outputFolder),
                seed: spec.seed
            )
        }
    }

    func run() throws {
        for remark in try JobInputs.accept(.evaluate(spec), request, reporter) {
            reporter.log(remark)
        }
        let tasks = try spec.tasks.enumerated().map { try task($1, index: $0) }
        var rows: [Int: EvaluationRow] = [:]
        let paths = try spec.models.indices.map { try request.path("/models/\($0)/model") }
        let progress = try progress(of: tasks, paths)
        for index in order {
            let entry = spec.models[index]
            progress.report("\(entry.label): load")
            PeakMemory.reset()
            let row = try row(of: entry, path: paths[index], tasks, progress)
            rows[index] = row
            try reporter.metric(step: rows.count, row)
        }
        let results = results(spec.models.indices.compactMap { rows[$0] }, tasks)
        try JobReport.write(results, to: request.outputFolder)
        try JobReport.write(
            results.table(title: spec.name ?? "Evaluation"),
            to: request.outputFolder
        )
        try reporter.result(answer(results))
    }

    /// Results as the gateway keeps them.
    private func answer(_ results: EvaluationResults) throws -> EvaluationResults {
        guard results.comparisons != nil,
            try ResultJSON.data(results).count > JobLimits().resultBytes
        else { return results }
        reporter.log(
            "the comparisons of \(results.rows.count) models do not fit the job's answer; report.json has them"
        )
        var answer = results
        answer.comparisons = nil
        return answer
    }

    /// `rows`: In the job's order; a reference ran before those that stand before it.
    private func results(
        _ rows: [EvaluationRow],
        _ tasks: [any EvaluationTask]
    ) -> EvaluationResults {
        let labels = rows.map(\.label)
        let baseline = spec.baseline ?? labels[0]
        let comparisons = tasks.flatMap {
            $0.comparisons(of: [baseline] + labels.filter { $0 != baseline })
        }
        var results = EvaluationResults(
            rows: rows,
            baseline: baseline,
            comparisons: comparisons.isEmpty ? nil : comparisons
        )
        if let best = rows.first(where: { $0.label == baseline }),
            let worst = rows.first(where: { $0.label == spec.recoveredFrom })
        {
            let recovered = RecoveredShare(baseline: best, worst: worst)
            results.rows = rows.map(recovered.applied)
            results.recoveredFrom = worst.label
        }
        return results
    }

    /// The models, references of others first.
    private var order: [Int] {
        let references = spec.tasks.compactMap { task in
            if case .divergence(_, let label) = task { label } else { nil }
        }
        let isFirst = spec.models.map { references.contains($0.label) }
        return isFirst.indices.filter { isFirst[$0] } + isFirst.indices.filter { !isFirst[$0] }
    }

    /// Counts what is to be done with all models.
    private func progress(
        of tasks: [any EvaluationTask],
        _ paths: [String]
    ) throws -> EvaluationProgress {
        let efforts = try paths.flatMap { path in
            let plan = try EvaluationSubject.Plan(path: path)
            let parameterCount = plan.parameterCount
            return try tasks.map { (try $0.effort(on: plan), parameterCount: parameterCount) }
        }
        return EvaluationProgress(reporter, efforts, interval: interval)
    }

    private func row(
        of entry: EvaluateSpec.Model,
        path: String,
        _ tasks: [any EvaluationTask],
        _ progress: EvaluationProgress
    ) throws -> EvaluationRow {
        let subject = try EvaluationSubject(
            label: entry.label,
            path: path,
            roundsActivations: (entry.activations ?? spec.activations) == .asExported,
            team: team,
            progress: progress
        )
        var row = EvaluationRow(
            label: entry.label,
            storedByteCount: subject.storedByteCount,
            bf16ByteCount: 2 * ParameterLayout(configuration: subject.configuration).totalCount,
            activations: subject.activations
        )
        for task in tasks { row.measurements += try task.run(subject) }
        row.peakMemoryBytes = PeakMemory.byteCount()
        return row
    }
}
