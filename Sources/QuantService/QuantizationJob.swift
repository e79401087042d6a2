internal import ComputeKit
internal import JobSpecs
internal import Kernels
internal import ModelFiles
internal import Quantization
internal import ServiceKit
internal import Transformer

/// One post-training quantization job: every layer of the recipe rounded by a method.
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
        let calibration = try calibrationWindows(model.tokenizer)
        var layers: [LayerReport] = []
        var stored: [String: PackedTensor] = [:]
        let quantizer = PostTrainingQuantizer(recipe: recipe, method: method, team: team)
        try quantizer.quantize(model.parameters, calibration: calibration) { result, count in
            stored[result.entry.name] = result.packed
            layers.append(LayerReport(result.entry, result.packed.format, result.statistics))
            reporter.progress(phase: "quantize", step: layers.count, of: count)
            try reporter.checkStop()
        }
        reporter.progress(phase: "export", step: layers.count, of: layers.count)
        let export = ModelExport(outputFolder: request.outputFolder)
        let outcome = try export.write(
            QuantizedModel(model: model, stored: stored),
            formats: spec.exports.map(\.format.rawValue)
        )
        let warnings =
            outcome.warnings
            + layers.flatMap { layer in layer.warnings.map { "\(layer.module): \($0)" } }
        for warning in warnings {
            reporter.log(warning)
        }
        let results = QuantizationResults(
            method: spec.quantization.method.rawValue,
            calibrationTokens: calibration?.tokens.count ?? 0,
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

    private var method: PostTrainingMethod {
        switch spec.quantization.method {
        case .mse: .mse
        case .gptq: .gptq(GPTQ())
        case .max, .awq, .smoothquant: .max
        }
    }

    /// The windows of the calibration texts, where the method uses them.
    private func calibrationWindows(_ tokenizer: Tokenizer) throws -> CalibrationWindows? {
        guard spec.quantization.method != .max else {
            return nil
        }
        let texts = spec.data.calibration
        guard !texts.isEmpty else {
            guard spec.quantization.method == .mse else {
                throw ComputeFailure(
                    .userError,
                    "method \(spec.quantization.method.rawValue) needs data.calibration"
                )
            }
            return nil
        }
        let paths = try texts.indices.map { try request.path("/data/calibration/\($0)") }
        let tokens = try TextCorpus.load(paths: paths, tokenizer: tokenizer)
        let length = spec.data.sequenceLength
        try TextCorpus.requireWindow(of: length, tokens: tokens, paths: texts)
        let windows = try CalibrationWindows(
            text: tokens,
            length: length,
            limit: spec.quantization.calibrationSize,
            seed: spec.seed
        )
        reporter.log("calibration: \(windows.count) windows of \(length) tokens")
        return windows
    }
}

/// What a quantization job answers.
struct QuantizationResults: Codable, Sendable {
    /// How scales and codes were found.
    var method: String
    /// Tokens the model was calibrated on.
    var calibrationTokens: Int
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
