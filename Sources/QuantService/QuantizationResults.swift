internal import ComputeKit
internal import Formats
internal import JobSpecs
internal import Quantization
internal import Transformer

/// What a quantization job answers.
struct QuantizationResults: Codable, Sendable {
    /// How scales and codes were found.
    var method: String
    /// How a block's scale follows from its largest magnitude, as in `floor`, where the weights' formats
    /// leave a choice; searches begin there.
    var scaleMode: String?
    /// The format in which inputs of linear layers shall be rounded, `none` for as they are.
    var activations: String
    /// How scales of keys and values were found, `none` for no scales.
    var kvCache: String
    /// What was written, as `gguf in model-gguf/`.
    var exports: [String]
    /// Tokens the model was calibrated on.
    var calibrationTokens: Int
    /// Layers quantized.
    var layers: Int
    /// Stored bits per quantized weight, block scales included.
    var bitsPerWeight: Double
    /// Bytes of the exported tensors.
    var tensorBytes: Int
    /// Those bytes relative to all parameters of the source in BF16.
    var memoryRatio: Double
    /// The format of `model/`.
    var exportFormat: String
    /// The worst layer's signal to quantization noise.
    var sqnrDbMin: Double?
    /// The worst layer's mean absolute error.
    var meanAbsoluteErrorMax: Double?
    /// Mean KL divergence of the next-token distributions from the original's, in nats per token.
    var klDivergence: Double?
    /// Tokens that was measured on.
    var klTokens: Int?
    /// Of learned rounding, the mean error of layers' outputs on the calibration text before it: squared
    /// distance from the original's, relative to their square length.
    var layerErrorNearest: Double?
    /// The same after it.
    var layerError: Double?
    /// What a user should know.
    var warnings: [String]

    init(
        _ options: PostTrainingOptions,
        recipe: QuantizationRecipe,
        outcome: QuantizationOutcome,
        bf16ByteCount: Int,
        warnings: [String]
    ) {
        method = options.method.rawValue
        activations = recipe.activations?.nameWithBlock ?? QuantizationFormat.unquantizedName
        let formats = recipe.formats.union(options.mixedPrecision?.candidates ?? [])
        let modes = Set(
            formats.filter { $0.scaleKind == .e8m0 || $0.picksFourOrSix }.map(\.scaleMode.rawValue)
        )
        scaleMode = modes.isEmpty ? nil : modes.sorted().joined(separator: ", ")
        kvCache = options.cacheScales.rawValue
        exports = outcome.export.written
        let layers = outcome.layers
        calibrationTokens = outcome.calibrationTokens
        self.layers = layers.count
        let weights = layers.reduce(0) { $0 + $1.shape.reduce(1, *) }
        bitsPerWeight = Double(layers.reduce(0) { $0 + $1.byteCount } * 8) / Double(max(weights, 1))
        tensorBytes = outcome.export.tensorByteCount
        memoryRatio = Double(tensorBytes) / Double(bf16ByteCount)
        exportFormat = outcome.export.layout.rawValue
        sqnrDbMin = layers.map(\.statistics.sqnrDecibels).min()
        meanAbsoluteErrorMax = layers.map(\.statistics.meanAbsoluteError).max()
        klDivergence = outcome.divergence?.klDivergence
        klTokens = outcome.divergence?.tokenCount
        if !outcome.learned.isEmpty {
            let count = Double(outcome.learned.count)
            layerErrorNearest = outcome.learned.reduce(0) { $0 + $1.errorBefore } / count
            layerError = outcome.learned.reduce(0) { $0 + $1.errorAfter } / count
        }
        self.warnings = warnings
    }
}
