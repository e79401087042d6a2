internal import Kernels

/// Gradients of one layer's activations, which all layers share.
///
/// What an architecture does not have takes no room.
struct GradientBuffers {
    /// Of the residual stream, `[rows, hidden]`.
    let stream: UnsafeMutablePointer<Float>
    /// Of attention's or the MLP's normalized input, `[rows, hidden]`.
    let branch: UnsafeMutablePointer<Float>
    /// Of attention's output, `[rows, queries]`.
    let attention: UnsafeMutablePointer<Float>
    /// Of the queries that attention sees, `[rows, queries]`.
    let query: UnsafeMutablePointer<Float>
    /// Of the keys, `[rows, keys]`.
    let key: UnsafeMutablePointer<Float>
    /// Of the values, `[rows, keys]`.
    let value: UnsafeMutablePointer<Float>
    /// Of the gate, `[rows, MLP]`.
    let gate: UnsafeMutablePointer<Float>
    /// Of the up projection, `[rows, MLP]`.
    let up: UnsafeMutablePointer<Float>
    /// Of the activated MLP, `[rows, MLP]`.
    let activated: UnsafeMutablePointer<Float>
    /// Of queries before their norm, `[rows, queries]`.
    let queryProjection: UnsafeMutablePointer<Float>
    /// Of keys before their norm, `[rows, keys]`.
    let keyProjection: UnsafeMutablePointer<Float>
    /// Of a branch's output before its norm, `[rows, hidden]`.
    let output: UnsafeMutablePointer<Float>
    /// The stream's, multiplied, `[rows, hidden]`.
    let scaled: UnsafeMutablePointer<Float>
    private let storage: AlignedBuffer<Float>

    init(configuration: ModelConfiguration, rows: Int) {
        let architecture = configuration.architecture
        let c = configuration.hiddenSize
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let f = configuration.intermediateSize
        let gateWidth = architecture.hasGate ? f : 0
        let hasProjectionNorms = NormSite.query.isPresent(in: architecture)
        let hasOutputNorms = NormSite.attentionOutput.isPresent(in: architecture)
        let widths = [
            c, c, q, q, k, k, gateWidth, f, f, hasProjectionNorms ? q : 0,
            hasProjectionNorms ? k : 0, hasOutputNorms ? c : 0,
            architecture.residualMultiplier != 1 ? c : 0,
        ]
        storage = AlignedBuffer(count: rows * widths.reduce(0, +))
        var next = storage.pointer
        let pointers = widths.map { width in
            defer { next += rows * width }
            return next
        }
        stream = pointers[0]
        branch = pointers[1]
        attention = pointers[2]
        query = pointers[3]
        key = pointers[4]
        value = pointers[5]
        gate = pointers[6]
        up = pointers[7]
        activated = pointers[8]
        queryProjection = pointers[9]
        keyProjection = pointers[10]
        output = pointers[11]
        scaled = pointers[12]
    }
}
