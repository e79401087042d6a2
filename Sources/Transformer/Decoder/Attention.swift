internal import Devices

/// How a pass's queries find keys and values: among the rows of the same pass, or in a cache.
protocol Attention: AnyObject {
    /// Rows of one sequence in the next pass of `rows` rows.
    func sequenceLength(rows: Int) -> Int
    /// The position of a sequence's first row.
    var firstPosition: Int { get }
    /// Where documents begin in the rows of a pass; nil where nothing goes by that.
    var documents: DocumentMarks? { get }
    /// Each row's position, int32; nil where rows of a sequence follow each other.
    var positions: DeviceTensor? { get }

    /// `slot.attention` from its rotated queries and keys and its values.
    func forward(layer: Int, slot: ActivationArena.Layer)
}

extension Attention {
    /// Those of documents.
    var positions: DeviceTensor? { documents?.positions }
}

extension ModelConfiguration {
    /// Scale, soft cap and window of a layer's attention.
    func attentionScores(layer: Int) -> AttentionScores {
        AttentionScores(
            scale: architecture.attentionScale ?? 1 / Float(headDimension).squareRoot(),
            softCap: architecture.attentionSoftCap,
            window: attention(ofLayer: layer).window
        )
    }
}

extension ActivationArena.Layer {
    /// What attention reads and writes.
    var attentionTensors: AttentionTensors {
        AttentionTensors(query: query, key: key, value: value, output: attention)
    }
}

/// Causal attention over whole sequences of one length, forward and backward.
final class WholeSequences: Attention {
    let firstPosition = 0
    private let configuration: ModelConfiguration
    private let length: Int
    private let device: any ComputeDevice
    let documents: DocumentMarks?

    /// `documents`: Of as many rows as a pass has.
    init(
        configuration: ModelConfiguration,
        length: Int,
        documents: DocumentMarks? = nil,
        device: any ComputeDevice
    ) {
        self.documents = documents
        self.configuration = configuration
        self.length = length
        self.device = device
    }

    func sequenceLength(rows: Int) -> Int { length }

    private func operation(_ layer: Int) -> SequenceAttention {
        SequenceAttention(
            length: length,
            headDimension: configuration.headDimension,
            scores: configuration.attentionScores(layer: layer),
            starts: documents?.starts
        )
    }

    func forward(layer: Int, slot: ActivationArena.Layer) {
        device.attend(operation(layer), slot.attentionTensors)
    }

    /// Overwrites the gradients of queries and keys (still rotated) and of values, from the output's.
    func backward(layer: Int, slot: ActivationArena.Layer, gradients: AttentionTensors) {
        device.attendGradient(operation(layer), slot.attentionTensors, gradients: gradients)
    }
}

/// Attention of a pass's rows over caches of keys and values, one per sequence, which it extends.
///
/// All sequences are as long; a pass has as many rows of each, one sequence's behind another's.
final class CachedAttention: Attention {
    /// Tokens in each cache.
    private(set) var firstPosition = 0
    /// A cache holds one document.
    let documents: DocumentMarks? = nil
    /// Tokens that a cache holds at most.
    let capacity: Int
    private let configuration: ModelConfiguration
    private let sequences: Int
    private let device: any ComputeDevice
    /// `[layers · sequences · capacity, keys]`.
    private let keys: DeviceTensor
    /// `[layers · sequences · capacity, keys]`.
    private let values: DeviceTensor

    /// Caches of `capacity` tokens for each of `sequences`.
    init(
        configuration: ModelConfiguration,
        sequences: Int = 1,
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

    func sequenceLength(rows: Int) -> Int { rows / sequences }

    /// Counts the rows of each sequence in a pass that every layer has seen.
    func advance(rows: Int) { firstPosition += rows }

    /// Forgets all rows of each sequence but the first `count`, as many as there are at most.
    func rewind(to count: Int) {
        precondition(count <= firstPosition, "rewind: to \(count) of \(firstPosition)")
        firstPosition = count
    }

    /// Forgets everything.
    func clear() { firstPosition = 0 }

    func forward(layer: Int, slot: ActivationArena.Layer) {
        let operation = CachedAttentionOperation(
            firstPosition: firstPosition,
            headDimension: configuration.headDimension,
            scores: configuration.attentionScores(layer: layer)
        )
        let length = sequenceLength(rows: slot.query.rows)
        for sequence in 0..<sequences {
            let first = (layer * sequences + sequence) * capacity
            let total = first + firstPosition + length
            let own = sequence * length..<(sequence + 1) * length
            let new = first + firstPosition..<total
            device.copy(slot.key.rows(own), to: keys.rows(new))
            device.copy(slot.value.rows(own), to: values.rows(new))
            device.attend(
                operation,
                AttentionTensors(
                    query: slot.query.rows(own),
                    key: keys.rows(first..<total),
                    value: values.rows(first..<total),
                    output: slot.attention.rows(own)
                )
            )
        }
    }
}
