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
    /// `onLayer`: Told how many are done and how many there are; throwing stops.
    public static func measure(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        progress: Double = 1,
        team: ThreadTeam,
        onLayer: (Int, Int) throws -> Void = { _, _ in }
    ) throws -> [LayerReport] {
        let weights = try parameters.quantizations(by: recipe, progress: progress, team: team)
        let rounded = AlignedBuffer<Float>(count: weights.map(\.entry.count).max() ?? 0)
        var reports: [LayerReport] = []
        for (index, weight) in weights.enumerated() {
            weight.fakeQuantize(into: rounded.pointer)
            let statistics = QuantizationStatistics(
                values: parameters.storage.pointer + weight.entry.offset,
                quantized: rounded.pointer,
                count: weight.entry.count,
                team: team
            )
            reports.append(LayerReport(weight.entry, weight.format, statistics))
            try onLayer(index + 1, weights.count)
        }
        return reports
    }
}
