internal import Devices
internal import Formats
internal import Kernels
internal import Quantization

/// Thresholds that inputs of linear layers are clipped to, one for each group of layers that share an
/// input: as they were calibrated, or trained beside the weights.
///
/// A threshold is the calibrated one times a number that begins at 1. It is what the format's scale per
/// tensor lets through, so that clipping and rounding are one. The threshold's gradient is the sum, over what
/// reaches it, of gradients by the inputs' signs; that of the inputs is zero there. The regularizer adds
/// λ times the square of the number to the loss, so that thresholds that nothing reaches come down.
///
/// - SeeAlso: Choi et al. 2018, "PACT", arXiv:1805.06085, whose clip has no negative side.
final class InputClips: @unchecked Sendable {
    // Unsynchronized: the engine that owns it is used by one thread at a time.

    /// The places, by layer and the first module that shares an input.
    struct Site: Equatable {
        let layer: Int
        let module: LinearModule
        let format: QuantizationFormat
    }

    /// The lowest share of the calibrated threshold that is used.
    static let lowest: Float = 0x1p-10

    let learns: Bool
    private let sites: [Site]
    private let indices: [Int?]
    private let regularization: Double
    private let device: any ComputeDevice
    private let ranks: (any RankGroup)?
    /// Calibrated thresholds; empty until they are.
    private var calibrated: [Float] = []
    /// Shares of them, and their two moments.
    private let buffers: [AlignedBuffer<Float>]
    private let memories: [any DeviceMemory]
    /// float64, of each threshold.
    private let sums: DeviceTensor
    private let gradients: DeviceTensor
    /// What the device holds now.
    private var shares: [Float]
    // Room, so that a step allocates nothing.
    private var found: [Double]
    private var rounded: [Float]

    /// Nil where inputs have scales that are found as the model runs.
    init?(
        _ settings: TrainingEngine.Settings,
        of configuration: ModelConfiguration,
        ranks: (any RankGroup)? = nil,
        device: any ComputeDevice
    ) {
        guard settings.inputScales != .dynamic else { return nil }
        self.device = device
        self.ranks = ranks
        learns = settings.inputScales == .learned
        regularization = settings.clipRegularization
        let inputs = ActivationQuantization(settings.recipe, of: configuration).inputs
        var sites: [Site] = []
        let count = configuration.layerCount * LinearModule.allCases.count
        var indices = [Int?](repeating: nil, count: count)
        for layer in 0..<configuration.layerCount {
            for module in configuration.inputGroups {
                guard let input = inputs[module.name(layer: layer)],
                    input.format.scaleKind.hasTensorScale
                else { continue }
                indices[module.place(inLayer: layer)] = sites.count
                sites.append(Site(layer: layer, module: module, format: input.format))
            }
        }
        self.sites = sites
        self.indices = indices
        let room = max(sites.count, 1)
        buffers = (0..<3).map { _ in AlignedBuffer(count: room) }
        memories = buffers.map(device.adopt)
        sums = device.tensor(columns: room, type: .float64)
        gradients = device.tensor(columns: room)
        shares = Array(repeating: 1, count: sites.count)
        found = Array(repeating: 0, count: room)
        rounded = Array(repeating: 0, count: sites.count)
        buffers[0].pointer.update(repeating: 1, count: room)
        device.refresh(memories[0])
    }

    /// What is learned, for checkpoints.
    var tensors: [TrainingTensor] {
        guard learns else { return [] }
        for memory in memories { device.settle(memory) }
        return zip(["clips", "m.clips", "v.clips"], buffers).map { name, buffer in
            TrainingTensor(
                name: name,
                type: .float32,
                shape: [sites.count],
                start: UnsafeMutableRawPointer(buffer.pointer)
            )
        }
    }

    /// Takes what the host changed in ``tensors``.
    func refresh(_ weights: LayerWeights) {
        for memory in memories { device.refresh(memory) }
        apply(to: weights)
    }

    /// Takes calibrated thresholds.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if one is missing or no positive number.
    func calibrate(_ ranges: InputRanges, _ weights: LayerWeights) throws {
        calibrated = try sites.map { site in
            let name = site.module.name(layer: site.layer)
            guard let amax = ranges.amax[name], amax.isFinite, amax >= 0 else {
                throw TransformerError(
                    .invalidRecipe,
                    "the inputs of \(name) have no finite range on the calibration text"
                )
            }
            // Where text brings zeros alone, anything else passes.
            return amax == 0 ? 1 : amax
        }
        apply(to: weights)
    }

    /// The thresholds as they are now; nil until they are calibrated.
    func ranges(_ configuration: ModelConfiguration) -> InputRanges? {
        guard !calibrated.isEmpty else { return nil }
        var amax: [String: Float] = [:]
        for index in sites.indices {
            for module in configuration.modules(sharingInputOf: sites[index].module) {
                amax[module.name(layer: sites[index].layer)] = threshold(index)
            }
        }
        return InputRanges(amax: amax)
    }

    private func threshold(_ index: Int) -> Float {
        calibrated[index] * max(shares[index], Self.lowest)
    }

    /// Rounds inputs under the thresholds' scales from now on.
    private func apply(to weights: LayerWeights) {
        guard !calibrated.isEmpty else { return }
        device.download(tensor(0), into: &shares)
        for (index, site) in sites.enumerated() {
            let scale = site.format.floatScale(amax: threshold(index))
            for module in weights.configuration.modules(sharingInputOf: site.module) {
                weights.setInputScale(scale, of: module, layer: site.layer)
            }
        }
    }

    private func tensor(_ index: Int) -> DeviceTensor {
        DeviceTensor(memories[index], columns: sites.count)
    }

    /// Begins a step.
    func clear() { device.clear(sums) }

    /// Passes the gradient of a layer's rounded input on to what was rounded; nothing where inputs are not
    /// clipped.
    ///
    /// `module`: The first that shares the input.
    func passGradient(
        _ gradient: DeviceTensor,
        source: DeviceTensor,
        _ module: LinearModule,
        layer: Int
    ) {
        let place = module.place(inLayer: layer)
        guard !calibrated.isEmpty, let index = indices[place] else { return }
        device.clipGradient(
            gradient,
            source: source,
            limit: threshold(index),
            limitGradient: DeviceTensor(sums.memory, offset: index, columns: 1, type: .float64)
        )
    }

    /// The latest step's gradients of the numbers that multiply thresholds, by the first module of each
    /// place.
    ///
    /// Of several ranks, those of this one's windows.
    func gradientsByModule() -> [String: Double] {
        device.download(sums, into: &found)
        findGradients()
        return Dictionary(
            uniqueKeysWithValues: sites.indices.map {
                (sites[$0].module.name(layer: sites[$0].layer), found[$0])
            }
        )
    }

    private func findGradients() {
        for index in sites.indices {
            found[index] =
                Double(calibrated[index]) * found[index]
                + 2 * regularization * Double(shares[index])
            rounded[index] = Float(found[index])
        }
    }

    /// One update of all thresholds, by AdamW without decay.
    func update(
        _ weights: LayerWeights,
        learningRate: Double,
        configuration: OptimizerConfiguration,
        stepCount: Int
    ) {
        guard learns, !calibrated.isEmpty, !sites.isEmpty else { return }
        device.download(sums, into: &found)
        found.withUnsafeMutableBufferPointer { ranks?.sum($0) }
        findGradients()
        device.upload(rounded, to: gradients.reshaped(rows: 1, columns: sites.count))
        device.adamW(
            AdamWTensors(
                weight: tensor(0),
                gradient: gradients.reshaped(rows: 1, columns: sites.count),
                firstMoment: MomentTensor(tensor(1)),
                secondMoment: MomentTensor(tensor(2)),
                place: 0
            ),
            step: AdamWStep(
                configuration,
                learningRate: learningRate,
                age: stepCount,
                seed: stepCount,
                gradientScale: 1
            )
        )
        apply(to: weights)
    }
}
