public import Formats
public import Kernels
public import Quantization
public import Transformer

/// What quantization does to one linear layer.
public struct LayerReport: Codable, Sendable {
    /// The module's name.
    public var module: String
    /// The weight's shape, `[out, in]`.
    public var shape: [Int]
    /// The format's name.
    public var format: String
    /// Elements per scale.
    public var blockSize: Int
    /// Stored bits per weight, scales included.
    public var bitsPerWeight: Double
    /// Stored bytes.
    public var byteCount: Int
    /// The weight's values and the error.
    public var statistics: QuantizationStatistics
    /// What a user should look at.
    public var warnings: [String]

    /// What a format does to a weight.
    public init(
        _ entry: ParameterLayout.Entry,
        _ format: QuantizationFormat,
        _ statistics: QuantizationStatistics
    ) {
        module = entry.module
        shape = entry.shape
        self.format = format.name
        blockSize = format.blockSize
        bitsPerWeight = format.bitsPerWeight
        byteCount = format.storedByteCount(rows: entry.rows, columns: entry.columns)
        self.statistics = statistics
        warnings = statistics.warnings
    }

    /// Measures every layer that a recipe quantizes at `progress`.
    ///
    /// What its scales cannot hold is not counted of a weight that cannot be stored, as one that is not finite.
    public static func measure(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        progress: Double = 1,
        team: ThreadTeam
    ) throws -> [LayerReport] {
        try measure(parameters, recipe: recipe, progress: progress, team: team) { report, _ in
            report
        }
    }

    /// The same, for what `body` makes of each report and of what is stored of the weight; throwing stops.
    public static func measure<Value>(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        progress: Double,
        team: ThreadTeam,
        _ body: (LayerReport, PackedTensor?) throws -> Value
    ) throws -> [Value] {
        let weights = try parameters.quantizations(by: recipe, progress: progress, team: team)
        let rounded = AlignedBuffer<Float>(count: weights.map(\.entry.count).max() ?? 0)
        return try weights.map { weight in
            weight.fakeQuantize(into: rounded.pointer)
            let values = UnsafePointer(parameters.storage.pointer + weight.entry.offset)
            let packed = try? weight.quantize()
            let statistics =
                if let packed {
                    QuantizationStatistics(
                        values: values,
                        quantized: rounded.pointer,
                        packed: packed,
                        team: team
                    )
                } else {
                    QuantizationStatistics(
                        values: values,
                        quantized: rounded.pointer,
                        count: weight.entry.count,
                        team: team
                    )
                }
            return try body(LayerReport(weight.entry, weight.format, statistics), packed)
        }
    }
}
