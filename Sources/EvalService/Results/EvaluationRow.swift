internal import JobSpecs
internal import Transformer

/// One model's figures: what each task measured, and the first of each kind under its own key.
struct EvaluationRow: Encodable, Sendable {
    /// The model's name in the job.
    let label: String
    /// Bytes of its tensors as stored.
    let memoryBytes: Int
    /// Those bytes relative to all parameters in BF16.
    let memoryRatio: Double
    /// The formats in which inputs of linear layers were rounded, as in `mxfp4`; `none` for as they
    /// are.
    let activations: String
    /// The format of keys and values.
    let kvCache: ActivationQuantization.CacheFormat
    /// The process's peak memory while the model was measured; nil where the system does not tell.
    var peakMemoryBytes: Int?
    /// What was measured, in the order of the job's tasks.
    var measurements: [Measurement] = []

    /// `bf16ByteCount`: What all parameters take in BF16.
    init(
        label: String,
        storedByteCount: Int,
        bf16ByteCount: Int,
        activations: ActivationQuantization
    ) {
        self.label = label
        memoryBytes = storedByteCount
        memoryRatio = Double(storedByteCount) / Double(bf16ByteCount)
        self.activations = activations.inputFormatName
        kvCache = activations.cacheFormat
    }

    /// The first measurement of a name.
    func first(_ name: Measurement.Name) -> Measurement? {
        measurements.first { $0.name == name }
    }

    // The encoder turns these into snake case.
    private enum CodingKeys: CodingKey {
        case label, memoryBytes, memoryRatio, activations, kvCache, perplexity, perplexityCi95
        case accuracy, latencyMs, tokensPerS, peakMemoryBytes, measurements
    }

    /// What no task measured is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(label, forKey: .label)
        try container.encode(memoryBytes, forKey: .memoryBytes)
        try container.encode(memoryRatio, forKey: .memoryRatio)
        try container.encode(activations, forKey: .activations)
        try container.encode(kvCache, forKey: .kvCache)
        try container.encode(first(.perplexity)?.value, forKey: .perplexity)
        try container.encode(first(.perplexity)?.interval, forKey: .perplexityCi95)
        try container.encode(first(.accuracy)?.value, forKey: .accuracy)
        try container.encode(first(.latency)?.value, forKey: .latencyMs)
        try container.encode(first(.throughput)?.value, forKey: .tokensPerS)
        try container.encode(peakMemoryBytes, forKey: .peakMemoryBytes)
        try container.encode(measurements, forKey: .measurements)
    }
}

/// What an evaluation job answers.
struct EvaluationResults: Encodable, Sendable {
    /// One row per model, in the job's order.
    var rows: [EvaluationRow]
    /// The label of the model that the others are compared with.
    var baseline: String
    /// The label of the model whose loss `recovered` is a share of; absent where the job names none.
    var recoveredFrom: String?
    /// How models compare with the baseline on the same questions or windows; absent where there are none.
    var comparisons: [Comparison]?
}
