/// How a pass's queries find keys and values: among the rows of the same pass, or in a cache.
protocol Attention: AnyObject {
    /// Rows of one sequence in the next pass of `rows` rows.
    func sequenceLength(rows: Int) -> Int
    /// The position of a sequence's first row.
    var firstPosition: Int { get }

    /// `slot.attention` from its rotated queries and keys and its values.
    func forward(layer: Int, slot: ActivationArena.Layer, rows: Int)
}

/// The scale, the soft cap and the windows of a model's attention.
struct AttentionScores {
    let scale: Float
    let softCap: Float?
    private let windows: [Int?]

    init(_ configuration: ModelConfiguration) {
        scale =
            configuration.architecture.attentionScale
            ?? 1 / Float(configuration.headDimension).squareRoot()
        softCap = configuration.architecture.attentionSoftCap
        windows = (0..<configuration.layerCount).map { configuration.attention(ofLayer: $0).window }
    }

    /// The scale that is left to the softmax.
    var softmaxScale: Float { softCap == nil ? scale : 1 }

    /// The first position that the query at `position` sees in a layer.
    func firstVisible(from position: Int, layer: Int) -> Int {
        windows[layer].map { max(0, position - $0 + 1) } ?? 0
    }
}
