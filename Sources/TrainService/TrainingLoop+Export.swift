internal import ComputeKit
internal import Formats
internal import JobInputs
internal import JobSpecs
internal import ModelFiles
internal import Protocol
internal import ServiceKit
internal import Transformer

/// The end of a training.
extension TrainingLoop {
    /// Exports what was trained, validates it as it was written, and answers.
    func finish(
        _ student: Parameters,
        _ inputs: InputRanges?,
        before: [String: Double]
    ) throws {
        reporter.progress(phase: "export", step: plan.totalSteps, of: plan.totalSteps)
        let layers = try LayerReport.measure(student, recipe: plan.recipe, team: team)
        let trained = try QuantizedModel(
            rounding: LoadedModel(model, parameters: student),
            recipe: plan.recipe,
            team: team
        )
        var description = trained.description
        description.source.rename(reference: modelReference)
        description.activations = plan.recipe.activations
        description.inputAmax = inputs?.amax ?? [:]
        description.clipsInputs = inputs != nil
        let cache = TrainingResults.cacheRanges(in: before)
        description.keyAmax = cache?.keys ?? []
        description.valueAmax = cache?.values ?? []
        description.metadata = TrainSpec.exportMetadata(version: SuiteVersion.current)
        let export = try ModelExport(
            description,
            exports: plan.exports,
            outputFolder: request.outputFolder
        )
        try export.write(student, stored: trained.stored) { done, count in
            let phase = "export \(done)/\(count)"
            reporter.progress(phase: phase, step: plan.totalSteps, of: plan.totalSteps)
        }
        let outcome = try export.finish()
        // From here on it is what was written that counts.
        student.release(student.layout.entries)
        let (after, activations, notes) = try validateExport(in: export.folder, cache)
        let results = TrainingResults(
            baselinePerplexity: before["baseline"],
            ptqPerplexity: before["ptq"],
            startPerplexity: before["start"],
            qatPerplexity: after.perplexity,
            recovered: TrainingResults.recovered(
                baseline: before["baseline"],
                ptq: before["ptq"],
                qat: after.perplexity
            ),
            baselinePerplexityCi95: TrainingResults.interval(of: .baseline, in: before),
            ptqPerplexityCi95: TrainingResults.interval(of: .ptq, in: before),
            startPerplexityCi95: TrainingResults.interval(of: .start, in: before),
            qatPerplexityCi95: after.confidenceInterval,
            activations: activations.inputFormatName,
            kvCache: activations.cacheFormat.rawValue,
            steps: plan.totalSteps,
            tokens: plan.totalSteps * plan.batchSize * plan.accumulation * plan.length,
            exports: outcome.written,
            exportFormat: outcome.layout.rawValue,
            tensorBytes: outcome.tensorByteCount,
            memoryRatio: Double(outcome.tensorByteCount) / Double(model.bf16ByteCount),
            warnings: outcome.warnings(after: warnings) + outcome.failures + notes
        )
        for warning in outcome.warnings + outcome.failures + notes {
            reporter.log(warning)
        }
        let report = TrainingReport(results: results, layers: layers)
        recorder.keep(step: plan.totalSteps, perplexities: ["qat": after.perplexity])
        try write(report)
        try reporter.result(results)
        try outcome.requireAll()
    }

    /// Writes the report, as a page, too, and what was measured on the way.
    private func write(_ report: TrainingReport) throws {
        let page = report.page(plan.spec, jobID: request.jobID, history: recorder.history)
        try JobReport.write(report, to: request.outputFolder)
        try JobReport.write(html: page.html(), to: request.outputFolder)
        try RunRecords.write(recorder.history, to: request.outputFolder)
    }

    /// Validates what was written, read back: BF16 parts are rounded, scales are as stored, inputs are
    /// rounded as the files say.
    private func validateExport(in folder: String, _ cache: CacheRanges?) throws -> (
        PerplexityResult, ActivationQuantization, notes: [String]
    ) {
        let exported = try ModelLoader.load(path: folder, team: team)
        let activations = try exported.activations.complete()
        let simulated = simulated(cache, nil)
        var notes: [String] = []
        if simulated.inputs.mapValues(\.format) != activations.inputs.mapValues(\.format) {
            notes.append(
                """
                model/ rounds the inputs of \(activations.inputs.count) modules \
                (\(activations.inputFormatName)), training those of \
                \(simulated.inputs.count) (\(simulated.inputFormatName)); qat_perplexity is of model/
                """
            )
        }
        let result = try validate(
            exported.parameters,
            .none,
            activations: activations,
            as: .exported,
            at: position(plan.totalSteps)
        )
        return (result, activations, notes)
    }
}
