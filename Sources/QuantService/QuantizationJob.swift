internal import ComputeKit
internal import Formats
internal import JobInputs
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// One post-training quantization job.
///
/// Without calibration text, weights go one by one from the model's file to the exports; with it, the
/// model is held in memory and run.
struct QuantizationJob {
    private let spec: QuantizeSpec
    private let specWarnings: [String]
    private let options: PostTrainingOptions
    private let request: ComputeRequest
    private let reporter: ComputeReporter
    private let team: ThreadTeam
    private let recipe: QuantizationRecipe

    init(_ request: ComputeRequest, _ reporter: ComputeReporter) throws {
        let ((spec, options), warnings) = try JobSpecification.read(
            request,
            service: "quantizes"
        ) { job -> (QuantizeSpec, PostTrainingOptions)? in
            guard case .quantize(let spec) = job else { return nil }
            return spec.quantization.postTraining.map { (spec, $0) }
        }
        self.spec = spec
        specWarnings = warnings.map(\.description)
        self.options = options
        self.request = request
        self.reporter = reporter
        team = ThreadTeam(threadCount: request.threads)
        reporter.follow { [team] in team.pieceCount }
        recipe = spec.quantization.recipe
    }

    func run() throws {
        let remarks = try JobInputs.accept(.quantize(spec), request, reporter)
        reporter.progress(phase: "load")
        let source = try ModelLoader.open(path: try request.path("/model"))
        let progress = LayerProgress(reporter)
        let outcome: QuantizationOutcome
        if spec.holdsModel {
            let run = CalibratedQuantization(
                spec: spec,
                options: options,
                recipe: recipe,
                method: options.rounding,
                reporter: reporter,
                progress: progress,
                team: team
            )
            let paths = try spec.data.calibration.indices.map {
                try request.path("/data/calibration/\($0)")
            }
            outcome = try run.quantize(source, texts: paths, begin: begin)
        } else {
            let run = StreamedQuantization(
                recipe: recipe,
                method: options.rounding,
                needsTokenizer: spec.needsTokenizer(of: source.kind),
                progress: progress,
                team: team
            )
            outcome = try run.quantize(source, begin: begin)
        }
        try publish(outcome, remarks: remarks, source: source)
    }

    /// Begins the exports of a model.
    private func begin(_ description: ExportDescription) throws -> ModelExport {
        var description = description
        description.source.rename(reference: spec.model)
        description.metadata = options.exportMetadata(version: SuiteVersion.current)
        if options.cacheScales == .fp8Cast {
            // Under the scale 1, E4M3 holds up to 448.
            let layers = description.configuration.layerCount
            description.keyAmax = [Float](repeating: 448, count: layers)
            description.valueAmax = description.keyAmax
        }
        return try ModelExport(
            description,
            ExportGroup(spec.exports),
            outputFolder: request.outputFolder
        )
    }

    private func publish(
        _ outcome: QuantizationOutcome,
        remarks: [String],
        source: any ModelSource
    ) throws {
        let table = try LayerTable(source.configuration, recipe: recipe)
        let planned =
            remarks + specWarnings + table.idleRules.map { "$.quantization.\($0)" }
        let warnings =
            outcome.export.warnings(after: planned) + outcome.export.failures
            + outcome.layers.flatMap { layer in layer.warnings.map { "\(layer.module): \($0)" } }
        for warning in warnings {
            reporter.log(warning)
        }
        let results = QuantizationResults(
            options,
            recipe: recipe,
            outcome: outcome,
            bf16ByteCount: ParameterLayout(configuration: source.configuration).totalCount * 2,
            warnings: warnings
        )
        let report = QuantizationReport(
            results: results,
            layers: outcome.layers,
            sensitivities: outcome.sensitivities,
            learned: outcome.learned
        )
        try JobReport.write(report, to: request.outputFolder)
        let page = report.page(spec, jobID: request.jobID)
        try JobReport.write(html: page.html(), to: request.outputFolder)
        try reporter.result(results)
        try outcome.export.requireAll()
    }
}

/// What a quantization made, whichever way it went.
struct QuantizationOutcome {
    /// Every rounded weight.
    var layers: [LayerReport]
    /// What was written.
    var export: ModelExport.Outcome
    /// Tokens that the method ran the model on.
    var calibrationTokens = 0
    /// Costs by group and format, where formats were chosen.
    var sensitivities: [LayerSensitivity] = []
    /// The distance of the model's distributions from the original's, where there is text.
    var divergence: DivergenceResult?
    /// What learning did to each layer, where rounding was learned.
    var learned: [LearnedLayer] = []
}

/// Tells the job's progress layer by layer, with the time to go, over all phases that it has.
final class LayerProgress {
    private let reporter: ComputeReporter
    private var phases: [(name: String, count: Int)] = []
    private var start: ContinuousClock.Instant?
    private var phase = ""

    init(_ reporter: ComputeReporter) {
        self.reporter = reporter
    }

    /// Says beforehand that there will be a phase of so many steps, in the order in which they come.
    func expect(_ phase: String, _ count: Int) {
        phases.append((phase, count))
    }

    /// Reports something that comes before the first step of a phase and takes its time, too.
    func begin(_ name: String, before phase: String) {
        self.phase = phase
        start = .now
        let before = phases.prefix { $0.name != phase }.reduce(0) { $0 + $1.count }
        reporter.progress(phase: name, step: before, of: phases.reduce(0) { $0 + $1.count })
    }

    /// Reports that `done` of `total` steps of a phase are done; throws if the job is to stop.
    func report(_ phase: String, _ done: Int, of total: Int) throws {
        if phase != self.phase {
            self.phase = phase
            start = .now
        }
        let index = phases.firstIndex { $0.name == phase }
        let before = phases[..<(index ?? 0)].reduce(0) { $0 + $1.count }
        let after = index.map { phases[($0 + 1)...].reduce(0) { $0 + $1.count } } ?? 0
        var event = ComputeEvent(.progress)
        event.phase = phase
        event.step = before + done
        event.totalSteps = before + total + after
        if done > 0, done < total + after, let start {
            // Steps of other phases are supposed to take as long as those of this one.
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            event.etaSeconds = seconds / Double(done) * Double(total + after - done)
        }
        reporter.send(event)
        try reporter.checkStop()
    }

    /// Reports what is done when all steps are.
    func report(_ phase: String) {
        let total = phases.reduce(0) { $0 + $1.count }
        reporter.progress(phase: phase, step: total, of: total)
    }
}
