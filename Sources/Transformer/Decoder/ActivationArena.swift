internal import Kernels

/// The activations of a pass over `rows` tokens, allocated once.
///
/// A training pass keeps one slot per layer for the backward pass; an inference pass uses one slot
/// for all layers.
final class ActivationArena {
    /// What the backward pass needs of one layer.
    ///
    /// Widths: C hidden, Q queries, K keys, F MLP.
    struct Layer {
        let input: UnsafeMutablePointer<Float>  // [rows, C]
        let attentionNorm: UnsafeMutablePointer<Float>  // [rows, C]
        let attentionInverseRMS: UnsafeMutablePointer<Float>  // [rows]
        let query: UnsafeMutablePointer<Float>  // [rows, Q], rotated
        let key: UnsafeMutablePointer<Float>  // [rows, K], rotated
        let value: UnsafeMutablePointer<Float>  // [rows, K]
        let attention: UnsafeMutablePointer<Float>  // [rows, Q]
        let middle: UnsafeMutablePointer<Float>  // [rows, C]
        let mlpNorm: UnsafeMutablePointer<Float>  // [rows, C]
        let mlpInverseRMS: UnsafeMutablePointer<Float>  // [rows]
        let gate: UnsafeMutablePointer<Float>  // [rows, F]
        let up: UnsafeMutablePointer<Float>  // [rows, F]
    }

    let rows: Int
    let layers: [Layer]
    /// The residual stream after the last layer, `[rows, C]`.
    let output: UnsafeMutablePointer<Float>
    /// The normalized output, which the head multiplies, `[rows, C]`.
    let finalNorm: UnsafeMutablePointer<Float>
    let finalInverseRMS: UnsafeMutablePointer<Float>
    /// A projection back to the residual stream, `[rows, C]`.
    let projection: UnsafeMutablePointer<Float>
    /// `silu(gate) · up`, `[rows, F]`.
    let activated: UnsafeMutablePointer<Float>
    /// A linear layer's quantized input, `[rows, max(C, Q, F)]`.
    let quantizedInput: UnsafeMutablePointer<Float>
    private let storage: AlignedBuffer<Float>

    init(configuration: ModelConfiguration, rows: Int, layerSlots: Int) {
        let c = configuration.hiddenSize
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let f = configuration.intermediateSize
        let perLayer = rows * (4 * c + 2 * q + 2 * k + 2 * f + 2)
        let shared = rows * (3 * c + 1 + f + max(c, q, f))
        storage = AlignedBuffer(count: perLayer * layerSlots + shared)
        var next = storage.pointer
        func take(_ width: Int) -> UnsafeMutablePointer<Float> {
            defer { next += rows * width }
            return next
        }
        let slots = (0..<layerSlots).map { _ in
            Layer(
                input: take(c),
                attentionNorm: take(c),
                attentionInverseRMS: take(1),
                query: take(q),
                key: take(k),
                value: take(k),
                attention: take(q),
                middle: take(c),
                mlpNorm: take(c),
                mlpInverseRMS: take(1),
                gate: take(f),
                up: take(f)
            )
        }
        layers = (0..<configuration.layerCount).map { slots[$0 % layerSlots] }
        self.rows = rows
        output = take(c)
        finalNorm = take(c)
        finalInverseRMS = take(1)
        projection = take(c)
        activated = take(f)
        quantizedInput = take(max(c, q, f))
    }
}
