internal import Quantization

extension ReportPage.Layer {
    /// A row of the page out of a job's report.
    public init(_ layer: LayerReport) {
        let statistics = layer.statistics
        self.init(
            module: layer.module,
            shape: layer.shape,
            format: layer.format,
            blockSize: layer.blockSize,
            bitsPerWeight: layer.bitsPerWeight,
            byteCount: layer.byteCount,
            mean: statistics.mean,
            standardDeviation: statistics.standardDeviation,
            minimum: Double(statistics.minimum),
            maximum: Double(statistics.maximum),
            amax: Double(statistics.amax),
            meanAbsoluteError: statistics.meanAbsoluteError,
            meanSquaredError: statistics.meanSquaredError,
            sqnrDecibels: statistics.sqnrDecibels,
            saturatedShare: statistics.saturatedShare ?? 0,
            warnings: layer.warnings
        )
    }
}
