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
        let entries = try parameters.quantizedEntries(of: recipe, progress: progress)
        let amaxes = parameters.sharedAmaxes(entries, team: team)
        let largest = entries.map { $0.0.count }.max() ?? 0
        let rounded = AlignedBuffer<Float>(count: largest)
        var reports: [LayerReport] = []
        for (index, (entry, format)) in entries.enumerated() {
            let values = parameters.storage.pointer + entry.offset
            BlockQuantizer.fakeQuantize(
                values,
                into: rounded.pointer,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                amax: amaxes[entry.name],
                team: team
            )
            let statistics = QuantizationStatistics(
                values: values,
                quantized: rounded.pointer,
                count: entry.count,
                team: team
            )
            reports.append(LayerReport(entry, format, statistics))
            try onLayer(index + 1, entries.count)
        }
        return reports
    }
}
