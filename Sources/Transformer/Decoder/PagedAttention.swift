internal import Devices
internal import Kernels

/// Attention of rows of several sequences, whose keys and values lie in pages that sequences share out
/// among themselves.
final class PagedAttention: Attention {
    /// Rows are told apart by their positions.
    let firstPosition = 0
    let documents: DocumentMarks? = nil
    var positions: DeviceTensor? { positionTensor.reshaped(rows: 1, columns: rows) }

    private let configuration: ModelConfiguration
    private let device: any ComputeDevice
    /// By layer.
    private let keys: [PagedRows]
    private let values: [PagedRows]
    private let positionTensor: DeviceTensor
    private let sequenceTensor: DeviceTensor
    private let tables: DeviceTensor
    private var rows = 0
    private var lastPosition = 0

    init(
        configuration: ModelConfiguration,
        limits: BatchLimits,
        scales: [(key: Float, value: Float)],
        device: any ComputeDevice
    ) {
        self.configuration = configuration
        self.device = device
        let layout = limits.layout(configuration)
        func pages(_ scale: (Int) -> Float) -> [PagedRows] {
            (0..<configuration.layerCount).map { layer in
                PagedRows(
                    pages: device.tensor(
                        rows: limits.pageCount,
                        columns: layout.pageByteCount,
                        type: .uint8
                    ),
                    layout: layout,
                    scale: scale(layer)
                )
            }
        }
        keys = pages { scales.indices.contains($0) ? scales[$0].key : 1 }
        values = pages { scales.indices.contains($0) ? scales[$0].value : 1 }
        positionTensor = device.tensor(columns: limits.rows, type: .int32)
        sequenceTensor = device.tensor(columns: limits.rows, type: .int32)
        tables = device.tensor(
            rows: limits.sequences,
            columns: limits.pagesPerSequence,
            type: .int32
        )
    }

    /// Says whose the rows of the next pass are.
    func set(_ batch: Batch, tables: [Int32]) {
        rows = batch.tokens.count
        lastPosition = Int(batch.positions.max() ?? 0)
        device.upload(batch.positions, to: positionTensor.reshaped(rows: 1, columns: rows))
        device.upload(batch.sequences, to: sequenceTensor.reshaped(rows: 1, columns: rows))
        device.upload(tables, to: self.tables)
    }

    func sequenceLength(rows: Int) -> Int { max(rows, 1) }

    func forward(layer: Int, slot: ActivationArena.Layer) {
        let batch = PagedBatch(
            positions: positionTensor,
            sequences: sequenceTensor,
            tables: tables,
            rows: rows,
            lastPosition: lastPosition
        )
        device.store(slot.key, of: batch, in: keys[layer])
        device.store(slot.value, of: batch, in: values[layer])
        device.attend(
            PagedAttentionOperation(
                batch: batch,
                scores: configuration.attentionScores(layer: layer)
            ),
            query: slot.query,
            keys: keys[layer],
            values: values[layer],
            into: slot.attention
        )
    }
}
