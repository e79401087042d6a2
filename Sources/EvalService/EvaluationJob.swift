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
    private let tasks: [any EvaluationTask]
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
        tasks = try spec.tasks.enumerated().map { index, task in
            try Self.task(task, index: index, of: spec, request, reporter)
        }
    }

    private static func task(
        _ task: EvaluateSpec.Task,
        index: Int,
        of spec: EvaluateSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter
    ) throws -> any EvaluationTask {
        func path() throws -> String { try request.path("/tasks/\(index)/text") }
        switch task {
        case .perplexity(let windows):
            return PerplexityTask(index: index, windows: windows, path: try path())
        case .accuracy(let windows):
            return AccuracyTask(index: index, windows: windows, path: try path())
        case .benchmark(let settings):
            return BenchmarkTask(index: index, settings: settings)
        case .code(let problems):
            return try HumanEvalTask(
                index: index,
                settings: problems,
                seed: spec.seed,
                request
            ) { reporter.log($0) }
        case .questions: throw JobSpecification.refusal(of: spec.unsupported)
        }
    }

    func run() throws {
        for remark in try JobInputs.accept(.evaluate(spec), request, reporter) {
            reporter.log(remark)
        }
        var rows: [EvaluationRow] = []
        let paths = try spec.models.indices.map { try request.path("/models/\($0)/model") }
        let progress = try progress(paths)
        for (index, entry) in spec.models.enumerated() {
            progress.report("\(entry.label): load")
            PeakMemory.reset()
            let row = try row(of: entry, path: paths[index], progress)
            try reporter.metric(step: index + 1, row)
            rows.append(row)
        }
        let results = EvaluationResults(rows: rows)
        try JobReport.write(results, to: request.outputFolder)
        try reporter.result(results)
    }

    /// Counts what is to be done with all models.
    private func progress(_ paths: [String]) throws -> EvaluationProgress {
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
