internal import Devices

/// Attention of several sequences' next rows, one each, over caches that are all as long.
final class ParallelAttention: Attention {
    /// Tokens in each cache.
    private(set) var firstPosition = 0
    private let configuration: ModelConfiguration
    private let sequences: Int
    private let capacity: Int
    private let device: any ComputeDevice
    /// `[layers · sequences · capacity, keys]`.
    private let keys: DeviceTensor
    /// `[layers · sequences · capacity, keys]`.
    private let values: DeviceTensor

    /// Caches of `capacity` tokens for each of `sequences`.
    init(
        configuration: ModelConfiguration,
        sequences: Int,
        capacity: Int,
        device: any ComputeDevice
    ) {
        self.configuration = configuration
        self.sequences = sequences
        self.capacity = capacity
        self.device = device
        let rows = configuration.layerCount * sequences * capacity
        keys = device.tensor(rows: rows, columns: configuration.keyValueWidth)
        values = device.tensor(rows: rows, columns: configuration.keyValueWidth)
    }

    /// Every row is at the same position.
    func sequenceLength(rows: Int) -> Int { 1 }

    /// Counts a row of each sequence that every layer has seen.
    func advance() { firstPosition += 1 }

    /// Forgets everything.
    func clear() { firstPosition = 0 }

    func forward(layer: Int, slot: ActivationArena.Layer) {
        let operation = CachedAttentionOperation(
            firstPosition: firstPosition,
            headDimension: configuration.headDimension,
            scores: configuration.attentionScores(layer: layer)
        )
        for sequence in 0..<slot.query.rows {
            let first = (layer * sequences + sequence) * capacity
            let own = sequence..<sequence + 1
            let new = first + firstPosition..<first + firstPosition + 1
            device.copy(slot.key.rows(own), to: keys.rows(new))
            device.copy(slot.value.rows(own), to: values.rows(new))
            device.attend(
                operation,
                AttentionTensors(
                    query: slot.query.rows(own),
                    key: keys.rows(first..<new.upperBound),
                    value: values.rows(first..<new.upperBound),
                    output: slot.attention.rows(own)
                )
            )
        }
    }
}
