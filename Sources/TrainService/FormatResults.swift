internal import ComputeKit
internal import Formats
internal import ServiceKit
internal import Transformer

/// What a training for several formats answers of one of them.
struct FormatResults: Encodable, Sendable {
    /// The format's name.
    var format: String
    /// Validation perplexity of the model as it came, rounded to the format without training.
    @NullIfNone var ptqPerplexity: Double?
    /// Its 95 % confidence interval over windows.
    @NullIfNone var ptqPerplexityCi95: [Double]?
    /// The same of the weights that training started from, where the job names any.
    @NullIfNone var startPerplexity: Double?
    /// Its 95 % confidence interval over windows.
    @NullIfNone var startPerplexityCi95: [Double]?
    /// The same of the export in this format, read back; without one, of the weights as steps round them.
    var qatPerplexity: Double
    /// Its 95 % confidence interval over windows.
    @NullIfNone var qatPerplexityCi95: [Double]?
    /// The share of PTQ's loss in this format that training won back.
    @NullIfNone var recovered: Double?
    /// What was written, as `gguf in model-mxfp4-gguf/`; empty if nothing was.
    var exports: [String]
    /// The form of the first; nil if nothing was written.
    @NullIfNone var exportFormat: String?
    /// Bytes of its tensors.
    @NullIfNone var tensorBytes: Int?
    /// Those bytes relative to all parameters in BF16.
    @NullIfNone var memoryRatio: Double?
}

extension FormatResults {
    /// Puts together what was measured before the first step with what came of it.
    init(_ trained: TrainedFormat, before: [String: Double], bf16ByteCount: Int) {
        let format = trained.format
        func kept(_ model: TrainingResults.Earlier) -> Double? { before[model.key(in: format)] }
        func interval(_ model: TrainingResults.Earlier) -> [Double]? {
            TrainingResults.interval(of: model, format: format, in: before)
        }
        let bytes = trained.export?.tensorByteCount
        self.init(
            format: format ?? "",
            ptqPerplexity: kept(.ptq),
            ptqPerplexityCi95: interval(.ptq),
            startPerplexity: kept(.start),
            startPerplexityCi95: interval(.start),
            qatPerplexity: trained.perplexity.perplexity,
            qatPerplexityCi95: trained.perplexity.confidenceInterval,
            recovered: TrainingResults.recovered(
                baseline: before[TrainingResults.Earlier.baseline.rawValue],
                ptq: kept(.ptq),
                qat: trained.perplexity.perplexity
            ),
            exports: trained.export?.written ?? [],
            exportFormat: trained.export?.layout.rawValue,
            tensorBytes: bytes,
            memoryRatio: bytes.map { Double($0) / Double(bf16ByteCount) }
        )
    }
}
