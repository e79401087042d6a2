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
            return PerplexityTask(index: index, windows: windows, path: try path())
        case .accuracy(let windows):
            return AccuracyTask(index: index, windows: windows, path: try path())
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
        // A reference ran before those that stand before it.
        let labels = spec.models.map(\.label)
        let comparisons = tasks.flatMap { $0.comparisons(of: labels) }
        let results = EvaluationResults(
            rows: spec.models.indices.compactMap { rows[$0] },
            comparisons: comparisons.isEmpty ? nil : comparisons
        )
        try JobReport.write(results, to: request.outputFolder)
        try reporter.result(results)
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
        let model = try ModelLoader.load(path: path, team: team)
        let activations =
            switch entry.activations ?? spec.activations {
            case .asExported: try Self.activations(of: model)
            case .none: ActivationQuantization.none
            }
        let subject = EvaluationSubject(
            label: entry.label,
            model: model,
            activations: activations,
            team: team,
            progress: progress
        )
        var row = EvaluationRow(
            label: entry.label,
            storedByteCount: model.storedByteCount,
            bf16ByteCount: model.bf16ByteCount,
            activations: activations
        )
        for task in tasks { row.measurements += try task.run(subject) }
        row.peakMemoryBytes = PeakMemory.byteCount()
        return row
    }

    private static func activations(of model: LoadedModel) throws -> ActivationQuantization {
        do {
            return try model.activations.complete()
        } catch let error as ModelFileError {
            throw ComputeFailure(
                .userError,
                "\(error.message); \"activations\": \"none\" evaluates the weights alone"
            )
        }
    }
}
