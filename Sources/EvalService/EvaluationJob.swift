internal import ComputeKit
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import Formats
internal import ServiceKit
internal import Transformer

/// One evaluation job: every task on every model, one row per model.
struct EvaluationJob {
    private let spec: EvaluateSpec
    private let request: ComputeRequest
    private let reporter: ComputeReporter
    private let team: ThreadTeam

    init(_ request: ComputeRequest, _ reporter: ComputeReporter) throws {
        guard
            case .evaluate(let spec) = try JobSpec.parse(
                kind: request.kind,
                json: Array(request.spec.utf8)
            )
        else {
            throw ComputeFailure(
                .invalidSpec,
                "this service evaluates; the job's kind is \(request.kind)"
            )
        }
        if !spec.unsupported.isEmpty {
            throw ComputeFailure(
                .userError,
                "not in this version: " + spec.unsupported.joined(separator: "; ")
            )
        }
        self.spec = spec
        self.request = request
        self.reporter = reporter
        team = ThreadTeam(threadCount: request.threads)
    }

    func run() throws {
        for remark in try JobInputs.accept(.evaluate(spec), request, reporter) {
            reporter.log(remark)
        }
        var rows: [EvaluationRow] = []
        for (index, entry) in spec.models.enumerated() {
            let path = try request.path("/models/\(index)/model")
            reporter.progress(phase: "\(entry.label): load", step: index, of: spec.models.count)
            PeakMemory.reset()
            var measured: [EvaluateSpec.TextWindows: PerplexityResult] = [:]
            let model = try ModelLoader.load(path: path, team: team)
            var row = EvaluationRow(label: entry.label, model: model)
            for (taskIndex, task) in spec.tasks.enumerated() {
                try evaluate(task, index: taskIndex, model: model, row: &row, measured: &measured)
            }
            row.peakMemoryBytes = PeakMemory.byteCount()
            try reporter.metric(step: index + 1, row)
            rows.append(row)
        }
        let results = EvaluationResults(rows: rows)
        try JobReport.write(results, to: request.outputFolder)
        try reporter.result(results)
    }

    private func evaluate(
        _ task: EvaluateSpec.Task,
        index: Int,
        model: LoadedModel,
        row: inout EvaluationRow,
        measured: inout [EvaluateSpec.TextWindows: PerplexityResult]
    ) throws {
        switch task {
        case .perplexity(let windows), .accuracy(let windows):
            // Both on the same windows are one pass over them.
            let result =
                try measured[windows]
                ?? onText(windows, index: index, model: model, label: row.label)
            measured[windows] = result
            if case .perplexity = task {
                row.perplexity = result.perplexity
                row.perplexityCi95 = result.confidenceInterval
            } else {
                row.accuracy = result.accuracy
            }
        case .benchmark(let settings):
            let timing = try GenerationBenchmark(settings, model: model, team: team).run {
                done,
                total in
                reporter.progress(phase: "\(row.label): benchmark", step: done, of: total)
                try reporter.checkStop()
            }
            row.latencyMs = timing.latencyMilliseconds
            row.tokensPerS = timing.tokensPerSecond
        case .questions(let type, _, _):
            throw ComputeFailure(.userError, "tasks[\(index)].type \(type) is not in this version")
        }
    }

    private func onText(
        _ task: EvaluateSpec.TextWindows,
        index: Int,
        model: LoadedModel,
        label: String
    ) throws -> PerplexityResult {
        let path = try request.path("/tasks/\(index)/text")
        let tokens = try TextCorpus.load(
            paths: [path],
            key: task.textKey,
            TextTokens(model.tokenizer, model.configuration)
        )
        try TextCorpus.requireWindow(of: task.sequenceLength, tokens: tokens, paths: [task.text])
        let windows = min(task.windowCount ?? .max, tokens.count / task.sequenceLength)
        let evaluator = try PerplexityEvaluator(
            parameters: model.parameters,
            recipe: .none,
            length: task.sequenceLength,
            team: team
        )
        return try evaluator.evaluate(tokens: tokens, windows: windows) { done in
            reporter.progress(phase: "\(label): \(task.text)", step: done, of: windows)
            try reporter.checkStop()
        }
    }
}
