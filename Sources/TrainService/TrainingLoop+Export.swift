internal import ComputeKit
internal import Formats
internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import ModelFiles
internal import Protocol
internal import ServiceKit
internal import Transformer

/// What a training made in one format.
struct TrainedFormat {
    /// The format's name; nil of a training for one.
    let format: String?
    let layers: [LayerReport]
    /// What was written; nil where nothing was to be, or could be.
    let export: ModelExport.Outcome?
    /// Why exports that the job must have are not there.
    let failures: [String]
    let perplexity: PerplexityResult
    let activations: ActivationQuantization
    /// What the export does otherwise than the training did.
    let notes: [String]

    /// What a user should know beside what was planned.
    var warnings: [String] { (export?.warnings ?? []) + failures + notes }
}

/// The end of a training.
extension TrainingLoop {
    /// Exports what was trained, validates it as it was written, and answers.
    func finish(_ trained: TrainedModel) throws {
        reporter.progress(phase: "export", step: trained.steps, of: plan.totalSteps)
        let found = try plan.turns.indices.map { try finish(trained, turn: $0) }
        // Of a training for several formats, one that could not be written costs the others nothing.
        let failures = found.flatMap(\.failures)
        guard found.contains(where: { $0.export != nil }) else {
            throw ComputeFailure(.exportFailed, failures.joined(separator: "; "))
        }
        let results = results(trained, found)
        for warning in [trained.lostBest].compactMap(\.self) + found.flatMap(\.warnings) {
            reporter.log(warning)
        }
        for turn in found {
            recorder.keep(
                step: trained.steps,
                [.qatPerplexity: turn.perplexity.perplexity],
                in: turn.format
            )
        }
        try write(
            TrainingReport(results: results, layers: found.flatMap(\.layers)),
            resumedFrom: trained.resumedFrom
        )
        try reporter.result(results)
        try ModelExport.Outcome.require(none: failures)
    }

    private func results(
        _ trained: TrainedModel,
        _ found: [TrainedFormat]
    ) -> TrainingResults {
        let before = trained.before
        let (first, format) = (found[plan.firstTurn], plan.formatName(ofTurn: plan.firstTurn))
        func kept(_ model: TrainingResults.Earlier) -> Double? { before[model.key(in: format)] }
        func interval(_ model: TrainingResults.Earlier) -> [Double]? {
            TrainingResults.interval(of: model, format: format, in: before)
        }
        let baseline = before[TrainingResults.Earlier.baseline.rawValue]
        let outcomes = found.compactMap(\.export)
        let written = first.export ?? outcomes[0]
        let planned = outcomes.reduce(warnings) { $1.announced(in: $0) }
        return TrainingResults(
            baselinePerplexity: baseline,
            ptqPerplexity: kept(.ptq),
            startPerplexity: kept(.start),
            qatPerplexity: first.perplexity.perplexity,
            recovered: TrainingResults.recovered(
                baseline: baseline,
                ptq: kept(.ptq),
                qat: first.perplexity.perplexity
            ),
            baselinePerplexityCi95: TrainingResults.interval(of: .baseline, in: before),
            ptqPerplexityCi95: interval(.ptq),
            startPerplexityCi95: interval(.start),
            qatPerplexityCi95: first.perplexity.confidenceInterval,
            activations: first.activations.inputFormatName,
            kvCache: first.activations.cacheFormat.rawValue,
            steps: trained.steps,
            exportedStep: trained.exportedStep,
            bestStep: trained.control.best?.step,
            bestPerplexity: trained.control.best.map { exp($0.loss) },
            endedEarly: trained.endedEarly,
            rolledBack: trained.control.rollBack?.sentence,
            tokens: trained.steps * plan.batchSize * plan.accumulation * plan.length,
            exports: outcomes.flatMap(\.written),
            exportFormat: written.layout.rawValue,
            tensorBytes: written.tensorByteCount,
            memoryRatio: Double(written.tensorByteCount) / Double(model.bf16ByteCount),
            warnings: planned
                + [trained.control.rollBack?.sentence, trained.lostBest].compactMap(\.self)
                + found.flatMap(\.warnings),
            formats: plan.turns.count == 1
                ? nil
                : found.map {
                    FormatResults($0, before: before, bf16ByteCount: model.bf16ByteCount)
                }
        )
    }

    /// Exports and validates in a turn's format; where nothing is to be exported in it, or nothing can be,
    /// the weights are validated as steps round them.
    private func finish(_ trained: TrainedModel, turn: Int) throws -> TrainedFormat {
        let recipe = plan.turns[turn]
        let cache = TrainingResults.cacheRanges(in: trained.before)
        let layers = try LayerReport.measure(trained.parameters, recipe: recipe, team: team)
        var failure: String?
        if let group = plan.exports.first(where: { $0.turn == turn }) {
            do {
                let (folder, outcome) = try export(trained, recipe, group, cache)
                let (result, activations, notes) = try validateExport(
                    in: folder,
                    turn,
                    cache,
                    at: position(trained.steps)
                )
                return TrainedFormat(
                    format: plan.formatName(ofTurn: turn),
                    layers: layers,
                    export: outcome,
                    failures: outcome.failures,
                    perplexity: result,
                    activations: activations,
                    notes: notes
                )
            } catch let error as ComputeFailure
                where error.reason == .exportFailed && plan.turns.count > 1
            {
                failure = error.message
            }
        }
        let activations = simulated(cache, trained.inputs)
        return TrainedFormat(
            format: plan.formatName(ofTurn: turn),
            layers: layers,
            export: nil,
            failures: failure.map { [$0] } ?? [],
            perplexity: try validate(
                trained.parameters,
                turn: turn,
                activations: activations,
                as: .exported,
                at: position(trained.steps)
            ),
            activations: activations,
            notes: []
        )
    }

    /// Writes a group's exports; its first folder, and what came of it.
    private func export(
        _ model: TrainedModel,
        _ recipe: QuantizationRecipe,
        _ group: ExportGroup,
        _ cache: CacheRanges?
    ) throws -> (folder: String, outcome: ModelExport.Outcome) {
        // Rounded in place: other formats have to begin from the masters, too.
        let weights = plan.turns.count > 1 ? try model.parameters.copy() : model.parameters
        let trained = try QuantizedModel(
            rounding: LoadedModel(self.model, parameters: weights),
            recipe: recipe,
            team: team
        )
        var description = trained.description
        description.source.rename(reference: modelReference)
        description.activations = recipe.activations
        description.inputAmax = model.inputs?.amax ?? [:]
        description.clipsInputs = model.inputs != nil
        description.keyAmax = cache?.keys ?? []
        description.valueAmax = cache?.values ?? []
        description.metadata = TrainSpec.exportMetadata(version: SuiteVersion.current)
        let export = try ModelExport(description, group, outputFolder: request.outputFolder)
        let name = group.precision.map { " \($0)" } ?? ""
        try export.write(weights, stored: trained.stored) { done, count in
            let phase = "export\(name) \(done)/\(count)"
            reporter.progress(phase: phase, step: model.steps, of: plan.totalSteps)
        }
        let outcome = try export.finish()
        // From here on it is what was written that counts.
        weights.release(weights.layout.entries)
        return (export.folder, outcome)
    }

    /// Writes the report, as a page, too, what was measured on the way, and what repeats the run.
    private func write(_ report: TrainingReport, resumedFrom step: Int) throws {
        let page = report.page(plan.spec, jobID: request.jobID, history: recorder.history)
        try JobReport.write(report, to: request.outputFolder)
        try JobReport.write(html: page.html(), to: request.outputFolder)
        try RunRecords.write(recorder.history, to: request.outputFolder)
        try RunDescription(
            request,
            seed: plan.seed,
            resumedFrom: step,
            holdsConversations: texts.isMarked
        ).write(to: request.outputFolder + "/run")
    }

    /// Validates what was written, read back: BF16 parts are rounded, scales are as stored, inputs are
    /// rounded as the files say.
    private func validateExport(
        in folder: String,
        _ turn: Int,
        _ cache: CacheRanges?,
        at place: ComputeEvent
    ) throws -> (PerplexityResult, ActivationQuantization, notes: [String]) {
        let exported = try ModelLoader.load(path: folder, team: team)
        let activations = try exported.activations.complete()
        let simulated = simulated(cache, nil)
        var notes: [String] = []
        if simulated.inputs.mapValues(\.format) != activations.inputs.mapValues(\.format) {
            let name = folder.split(separator: "/").last.map(String.init) ?? folder
            notes.append(
                """
                \(name)/ rounds the inputs of \(activations.inputs.count) modules \
                (\(activations.inputFormatName)), training those of \
                \(simulated.inputs.count) (\(simulated.inputFormatName)); qat_perplexity is of \(name)/
                """
            )
        }
        let result = try validate(
            exported.parameters,
            .none,
            activations: activations,
            as: .exported,
            in: plan.formatName(ofTurn: turn),
            at: place
        )
        return (result, activations, notes)
    }
}
