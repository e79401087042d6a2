internal import Devices
internal import Formats
internal import Kernels

/// Carries calibration windows through a model layer by layer, so that each layer is calibrated on
/// what the rounded layers before it put out.
///
/// Not for concurrent use.
final class LayerwisePass {
    /// What is known of the inputs that a group of linear modules shares.
    struct Inputs {
        /// The sum of `x · xᵀ`, `[width, width]`.
        let moments: HostedTensor
        /// Largest magnitude by channel, `[1, width]`.
        let amax: HostedTensor
        /// Inputs observed.
        var count = 0
    }

    private let pass: DecoderPass
    private let device: any ComputeDevice
    /// The residual stream of all windows, `[windows · length, hidden]`.
    let hidden: DeviceTensor
    private let windowCount: Int
    private let onWindow: () throws -> Void
    private var inputs: [LinearModule: Inputs]
    /// What ``advance(layer:)`` has seen.
    private(set) var ranges = ActivationRanges()
    /// By window, the first module that put out a NaN or an infinity.
    private(set) var nonFinite: [Int: String] = [:]

    /// Embeds `windowCount` windows of `length` tokens, which must be in the vocabulary.
    ///
    /// `activations`: How the layers' inputs are rounded. `onWindow`: Called before each window goes
    /// through a layer; throwing stops.
    init(
        parameters: Parameters,
        windows: CalibrationWindows,
        activations: ActivationQuantization = .none,
        device: any ComputeDevice,
        onWindow: @escaping () throws -> Void = {}
    ) throws {
        let (count, length) = (windows.count, windows.length)
        self.device = device
        self.onWindow = onWindow
        let weights = try LayerWeights(
            parameters: parameters,
            recipe: .none,
            activations: activations,
            device: device
        )
        pass = DecoderPass(window: length, weights: weights)
        windowCount = count
        let configuration = parameters.configuration
        hidden = device.tensor(rows: count * length, columns: configuration.hiddenSize)
        inputs = Dictionary(
            uniqueKeysWithValues: configuration.inputGroups.map { group in
                let columns = group.inputWidth(configuration)
                return (
                    group,
                    Inputs(
                        moments: HostedTensor(rows: columns, columns: columns, device: device),
                        amax: HostedTensor(rows: 1, columns: columns, device: device)
                    )
                )
            }
        )
        windows.tokens.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            for window in 0..<count {
                pass.embed(start + window * length, into: rows(of: window))
                if !pass.amax(rows(of: window)).isFinite {
                    nonFinite[window] = ParameterLayout.embeddingModule
                }
            }
        }
    }

    /// The residual stream of a window.
    private func rows(of window: Int) -> DeviceTensor {
        hidden.rows(window * pass.rows..<(window + 1) * pass.rows)
    }

    /// What a layer's inputs are, by the first module of each group; valid until the next call.
    func observe(layer index: Int) throws -> [LinearModule: Inputs] {
        for group in inputs.keys {
            guard let sums = inputs[group] else { continue }
            inputs[group]?.count = 0
            device.clear(sums.moments.tensor)
            device.clear(sums.amax.tensor)
        }
        pass.onInput = { [self] group, input in
            guard let sums = inputs[group] else { return }
            device.multiply(
                .weightGradient(
                    outputGradient: input,
                    input: input,
                    weightGradient: sums.moments.tensor
                )
            )
            device.addColumnMaxima(of: input, to: sums.amax.tensor)
            inputs[group]?.count += input.rows
        }
        defer { pass.onInput = nil }
        try forEachWindow(layer: index) { _, _ in }
        for sums in inputs.values {
            device.settle(sums.moments.tensor.memory)
            device.settle(sums.amax.tensor.memory)
        }
        return inputs
    }

    /// Moves the windows on through a layer as its weights now are, and records its ranges.
    func advance(layer index: Int) throws {
        pass.onInput = { [self] group, input in
            ranges.record(
                pass.configuration.modules(sharingInputOf: group),
                layer: index,
                amax: pass.amax(input)
            )
        }
        defer { pass.onInput = nil }
        try forEachWindow(layer: index) { number, window in
            if nonFinite[number] == nil, let module = pass.firstNonFinite(inLayer: index) {
                nonFinite[number] = module
            }
            device.copy(pass.output, to: window)
            let layer = pass.layer(index)
            ranges.recordKeys(
                pass.amax(layer.key),
                values: pass.amax(layer.value),
                layer: index
            )
        }
    }

    /// Turns the streams, which have passed all layers, into their normalized form.
    func finish() {
        pass.weights.refresh()
        for number in 0..<windowCount {
            let window = rows(of: number)
            device.copy(window, to: pass.output)
            pass.finish()
            device.copy(pass.finalNorm, to: window)
            if nonFinite[number] == nil, !pass.amax(window).isFinite {
                nonFinite[number] = ParameterLayout.finalNormModule
            }
        }
    }

    /// The error of what is not finite on a window; see `DecoderPass.nonFiniteError(_:at:)`.
    func nonFiniteError(_ what: String, window: Int) -> TransformerError {
        pass.nonFiniteError(what, at: nonFinite[window])
    }

    private func forEachWindow(
        layer index: Int,
        _ body: (_ number: Int, _ rows: DeviceTensor) -> Void
    ) throws {
        pass.weights.refresh()
        for number in 0..<windowCount {
            try onWindow()
            let window = rows(of: number)
            device.copy(window, to: pass.layer(index).input)
            pass.decode(layer: index, into: pass.output)
            body(number, window)
        }
    }
}

/// A tensor whose elements the host reads, too, once the device has settled its memory.
struct HostedTensor {
    /// The elements in the host's memory.
    let host: AlignedBuffer<Float>
    /// The same on the device.
    let tensor: DeviceTensor

    /// Zeros.
    init(rows: Int, columns: Int, device: any ComputeDevice) {
        host = AlignedBuffer(count: rows * columns)
        tensor = DeviceTensor(device.adopt(host), rows: rows, columns: columns)
    }
}
