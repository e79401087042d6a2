internal import Devices

/// Gradients of one layer's activations, which all layers share.
///
/// What an architecture does not have takes no room.
struct GradientBuffers {
    /// Of the residual stream, `[rows, hidden]`.
    let stream: DeviceTensor
    /// Of attention's or the MLP's normalized input, `[rows, hidden]`.
    let branch: DeviceTensor
    /// Of attention's output, `[rows, queries]`.
    let attention: DeviceTensor
    /// Of the queries that attention sees, `[rows, queries]`.
    let query: DeviceTensor
    /// Of the keys, `[rows, keys]`.
    let key: DeviceTensor
    /// Of the values, `[rows, keys]`.
    let value: DeviceTensor
    /// Of the gate, `[rows, MLP]`.
    let gate: DeviceTensor
    /// Of the up projection, `[rows, MLP]`.
    let up: DeviceTensor
    /// Of the activated MLP, `[rows, MLP]`.
    let activated: DeviceTensor
    /// Of queries before their norm, `[rows, queries]`.
    let queryProjection: DeviceTensor
    /// Of keys before their norm, `[rows, keys]`.
    let keyProjection: DeviceTensor
    /// Of a branch's output before its norm, `[rows, hidden]`.
    let output: DeviceTensor
    /// The stream's, multiplied, `[rows, hidden]`.
    let scaled: DeviceTensor

    init(configuration: ModelConfiguration, rows: Int, device: any ComputeDevice) {
        let widths = Self.widths(configuration)
        let count = rows * widths.reduce(0, +)
        var carver = TensorCarver(
            device.allocate(byteCount: count * ElementType.float32.byteCount),
            rows: rows
        )
        let tensors = widths.map { carver.take($0) }
        stream = tensors[0]
        branch = tensors[1]
        attention = tensors[2]
        query = tensors[3]
        key = tensors[4]
        value = tensors[5]
        gate = tensors[6]
        up = tensors[7]
        activated = tensors[8]
        queryProjection = tensors[9]
        keyProjection = tensors[10]
        output = tensors[11]
        scaled = tensors[12]
    }

    /// Elements that the buffers take.
    static func elementCount(_ configuration: ModelConfiguration, rows: Int) -> Int {
        rows * widths(configuration).reduce(0, +)
    }

    /// Elements per row, in the order of the fields.
    private static func widths(_ configuration: ModelConfiguration) -> [Int] {
        let architecture = configuration.architecture
        let c = configuration.hiddenSize
        let q = configuration.queryWidth
        let k = configuration.keyValueWidth
        let f = configuration.intermediateSize
        let gateWidth = architecture.hasGate ? f : 0
        let hasProjectionNorms = NormSite.query.isPresent(in: architecture)
        let hasOutputNorms = NormSite.attentionOutput.isPresent(in: architecture)
        return [
            c, c, q, q, k, k, gateWidth, f, f, hasProjectionNorms ? q : 0,
            hasProjectionNorms ? k : 0, hasOutputNorms ? c : 0,
            architecture.residualMultiplier != 1 ? c : 0,
        ]
    }
}
