internal import Devices
internal import Formats
internal import Kernels
internal import Quantization

/// Block scales that are trained beside the weights: of each block an FP32 step, of which the stored
/// scale is the nearest that the format has, straight through.
///
/// A step's gradient is that of learned step size quantization, times 1 / √(N · Q) for a block of N
/// elements whose largest is Q; AdamW's moments are FP32. FP32 scales of tensors stay.
/// - SeeAlso: Esser et al., Learned Step Size Quantization, arXiv 1902.08153.
public final class LearnedScales: @unchecked Sendable {
    // Unsynchronized: the engine that owns it is used by one thread at a time.

    /// What is learned of one parameter's blocks, `[blocks]` each.
    public struct Steps {
        /// The parameter's name.
        public let name: String
        /// The real value of one code step.
        public let values: UnsafeMutableBufferPointer<Float>
        /// Running mean of gradients.
        public let first: UnsafeMutableBufferPointer<Float>
        /// Running mean of squared gradients.
        public let second: UnsafeMutableBufferPointer<Float>
    }

    private struct Slot {
        let entry: ParameterLayout.Entry
        let module: LinearModule
        let layer: Int
        let format: QuantizationFormat
        let offset: Int
        var count: Int { format.blockScaleCount(rows: entry.rows, columns: entry.columns) }
    }

    private let slots: [Slot]
    private let device: any ComputeDevice
    private let gradients: DeviceTensor
    /// Nil in one process.
    private let reduction: WholeReduction?
    /// Steps, then the two moments.
    private let buffers: [AlignedBuffer<Float>]
    private let memories: [any DeviceMemory]

    /// Room for the scales of all weights that the recipe rounds in blocks and that are trained.
    init(
        weights: LayerWeights,
        gradients weightGradients: GradientArena,
        ranks: (any RankGroup)? = nil,
        device: any ComputeDevice
    ) {
        self.device = device
        var slots: [Slot] = []
        var total = 0
        for layer in 0..<weights.configuration.layerCount {
            for module in LinearModule.allCases {
                guard let entry = weights.module(module, layer: layer)?.weight,
                    let format = weights.format(module, layer: layer), format.scaleKind.hasBlocks,
                    weightGradients.gradient(of: entry) != nil
                else { continue }
                let slot = Slot(
                    entry: entry,
                    module: module,
                    layer: layer,
                    format: format,
                    offset: total
                )
                slots.append(slot)
                total += Self.padded(slot.count)
            }
        }
        self.slots = slots
        let gradients = device.tensor(columns: max(total, 1))
        self.gradients = gradients
        reduction = ranks.map { WholeReduction(gradients, ranks: $0, device: device) }
        buffers = (0..<3).map { _ in AlignedBuffer(count: max(total, 1)) }
        memories = buffers.map(device.adopt)
    }

    /// Elements of each of steps, gradients and moments for a weight; each begins a cache line.
    static func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

    /// What is learned, for checkpoints.
    public var steps: [Steps] {
        for memory in memories { device.settle(memory) }
        return slots.map { slot in
            func part(_ index: Int) -> UnsafeMutableBufferPointer<Float> {
                UnsafeMutableBufferPointer(
                    start: buffers[index].pointer + slot.offset,
                    count: slot.count
                )
            }
            return Steps(name: slot.entry.name, values: part(0), first: part(1), second: part(2))
        }
    }

    /// The same as ``steps`` has, by the names of checkpoints.
    var tensors: [TrainingTensor] {
        steps.flatMap { steps in
            [("scales.", steps.values), ("m.scales.", steps.first), ("v.scales.", steps.second)]
                .compactMap { prefix, values in
                    values.baseAddress.map {
                        TrainingTensor(
                            name: prefix + steps.name,
                            type: .float32,
                            shape: [values.count],
                            start: UnsafeMutableRawPointer($0)
                        )
                    }
                }
        }
    }

    /// Begins a run at the parameters' scales.
    func begin(at scales: [String: BlockScales]) {
        for (slot, steps) in zip(slots, self.steps) {
            guard let found = scales[slot.entry.name] else { continue }
            _ = steps.values.update(fromContentsOf: found.steps(slot.format))
            steps.first.update(repeating: 0)
            steps.second.update(repeating: 0)
        }
        refresh()
    }

    /// Takes what the host changed in ``steps``.
    func refresh() {
        for memory in memories { device.refresh(memory) }
    }

    /// Makes the parameters' scales those that the steps are now stored as.
    func settle(into parameters: Parameters) {
        for (slot, steps) in zip(slots, self.steps) {
            guard let before = parameters.fixedScales[slot.entry.name] else { continue }
            parameters.fixedScales[slot.entry.name] = before.with(
                steps: Array(steps.values),
                slot.format
            )
        }
    }

    private func tensor(_ slot: Slot, _ index: Int) -> DeviceTensor {
        DeviceTensor(memories[index], offset: slot.offset, columns: slot.count)
    }

    private func gradient(_ slot: Slot) -> DeviceTensor {
        DeviceTensor(gradients.memory, offset: slot.offset, columns: slot.count)
    }

    /// Adds the gradients of all ranks up.
    func reduceGradients() { reduction?.run() }

    /// Finds the gradients from those of the rounded weights of some layers.
    func findGradients(
        _ weights: LayerWeights,
        from weightGradients: GradientArena,
        layers: Range<Int>
    ) {
        for slot in slots where layers.contains(slot.layer) {
            guard let gradient = weightGradients.gradient(of: slot.entry),
                weights.storedScales(slot.module, layer: slot.layer) != nil
            else { continue }
            let count = Float(slot.format.blockSize) * slot.format.element.grid.maximumValue
            device.scaleGradient(
                self.gradient(slot),
                ofRounded: gradient,
                source: weights.tensor(slot.entry),
                weights.rounding(slot.module, slot.layer, slot.format),
                factor: 1 / count.squareRoot()
            )
        }
    }

    /// The latest gradient of a parameter's steps; nil if they are not learned.
    func gradient(ofParameter name: String) -> [Float]? {
        guard let slot = slots.first(where: { $0.entry.name == name }) else { return nil }
        var values = [Float](repeating: 0, count: slot.count)
        device.download(gradient(slot), into: &values)
        return values
    }

    /// One update of all steps, and of the scales that weights are rounded under.
    func update(
        _ weights: LayerWeights,
        learningRate: Double,
        configuration: OptimizerConfiguration,
        stepCount: Int
    ) {
        let step = AdamWStep(
            configuration,
            learningRate: learningRate,
            age: stepCount,
            seed: stepCount,
            gradientScale: 1
        )
        for slot in slots {
            guard let stored = weights.storedScales(slot.module, layer: slot.layer) else {
                continue
            }
            device.adamW(
                AdamWTensors(
                    weight: tensor(slot, 0),
                    gradient: gradient(slot),
                    firstMoment: MomentTensor(tensor(slot, 1)),
                    secondMoment: MomentTensor(tensor(slot, 2)),
                    place: slot.offset
                ),
                step: step
            )
            device.encodeSteps(tensor(slot, 0), slot.format, into: stored)
        }
    }
}
