internal import ComputeKit
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import Quantization
internal import ServiceKit
internal import Transformer

/// One post-training quantization job: every layer of the recipe rounded to nearest.
struct QuantizationJob {
    private let spec: QuantizeSpec
    private let request: ComputeRequest
    private let reporter: ComputeReporter
    private let team: ThreadTeam
    private let recipe: QuantizationRecipe

    init(_ request: ComputeRequest, _ reporter: ComputeReporter) throws {
        guard
            case .quantize(let spec) = try JobSpec.parse(
                kind: request.kind,
                json: Array(request.spec.utf8)
            )
        else {
            throw ComputeFailure(
                .invalidSpec,
                "this service quantizes; the job's kind is \(request.kind)"
            )
        }
        self.spec = spec
        self.request = request
        self.reporter = reporter
        team = ThreadTeam(threadCount: request.threads)
        recipe = try RecipeTranslation.recipe(spec.quantization)
        if !spec.unsupported.isEmpty {
            throw ComputeFailure(
                .userError,
                "not in this version: " + spec.unsupported.joined(separator: "; ")
            )
        }
    }

    func run() throws {
        reporter.progress(phase: "load", step: 0, of: 0)
        let model = try ModelLoader.load(path: try request.path("/model"), team: team)
        let layers = try LayerReport.measure(model.parameters, recipe: recipe, team: team) {
            reporter.progress(phase: "quantize", step: $0, of: $1)
            try reporter.checkStop()
        }
        reporter.progress(phase: "export", step: layers.count, of: layers.count)
        let export = ModelExport(outputFolder: request.outputFolder, team: team)
        let outcome = try export.write(
            model,
            recipe: recipe,
            formats: spec.exports.map(\.format.rawValue)
        )
        let warnings =
            outcome.warnings
            + layers.flatMap { layer in layer.warnings.map { "\(layer.module): \($0)" } }
        for warning in warnings {
            reporter.log(warning)
        }
        let results = QuantizationResults(
            layers: layers.count,
            tensorBytes: outcome.tensorByteCount,
            memoryRatio: Double(outcome.tensorByteCount) / Double(model.bf16ByteCount),
            exportFormat: outcome.format,
            sqnrDbMin: layers.map(\.statistics.sqnrDecibels).min(),
            meanAbsoluteErrorMax: layers.map(\.statistics.meanAbsoluteError).max(),
            warnings: warnings
        )
        try export.writeReport(QuantizationReport(results: results, layers: layers))
        try reporter.result(results)
    }
}

/// What a quantization job answers.
struct QuantizationResults: Codable, Sendable {
    /// Layers quantized.
    var layers: Int
    /// Bytes of the exported tensors.
    var tensorBytes: Int
    /// Those bytes relative to all parameters in BF16.
    var memoryRatio: Double
    /// The format of `model/`.
    var exportFormat: String
    /// The worst layer's signal to quantization noise.
    var sqnrDbMin: Double?
    /// The worst layer's mean absolute error.
    var meanAbsoluteErrorMax: Double?
    /// What a user should know.
    var warnings: [String]
}

/// report.json of a quantization job.
struct QuantizationReport: Encodable {
    let results: QuantizationResults
    let layers: [LayerReport]
}
