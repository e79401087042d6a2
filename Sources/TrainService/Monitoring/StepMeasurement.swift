internal import ComputeKit
internal import Quantization
internal import ServiceKit
internal import Transformer

/// All that is measured of a logged step.
struct StepMeasurement {
    let result: StepResult
    let layers: [LayerMonitor.Layer]
    /// What was told of the step.
    let progress: ComputeEvent
    /// The format that the step took, of a training for several.
    let format: String?
    /// The speed relative to that of the machine's products alone; nil if that is not known.
    let utilization: Double?
    /// Nil if the system does not say.
    let peakMemoryByteCount: Int?

    /// The layer with the lowest signal to noise.
    var worst: LayerMonitor.Layer? {
        layers.min { $0.report.statistics.sqnrDecibels < $1.report.statistics.sqnrDecibels }
    }

    /// Over the layers whose codes were reported before.
    var meanFlippedShare: Double? {
        let shares = layers.compactMap(\.course.flippedShare)
        return shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
    }

    /// The step's row of the records; `time`: seconds since 1970.
    func row(time: Double) -> RunHistory.Row {
        let values = RunFigure.allCases.compactMap { figure in
            figure.value(of: self).map { (figure, $0) }
        }
        return RunHistory.Row(
            step: progress.step ?? 0,
            time: time,
            stage: progress.precision ?? "",
            format: format,
            values: Dictionary(uniqueKeysWithValues: values),
            layers: Dictionary(
                uniqueKeysWithValues: layers.map { ($0.report.module, LayerFigures($0)) }
            )
        )
    }
}

/// What a stream is told of a row: its figures, but for those that the step's progress has.
struct RowMessage: Encodable {
    let row: RunHistory.Row
    /// Of a step, the module with the lowest signal to noise.
    var worstLayer: String?
    /// Whether the layers' figures go along.
    var hasLayers = true

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: RowKey.self)
        try container.encodeIfPresent(row.format, forKey: .format)
        for (figure, value) in row.values where figure.kind != .pace {
            try container.encode(value, forKey: RowKey(figure))
        }
        try container.encodeIfPresent(worstLayer, forKey: RowKey(name: "worst_layer"))
        if hasLayers { try container.encodeIfPresent(row.layers, forKey: .layers) }
    }
}
