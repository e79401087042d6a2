internal import Devices
internal import Formats
internal import Kernels

/// Weights whose codes flip back and forth step after step, which are frozen where they were on average.
///
/// After each step a rounded weight q is compared with what it was: a change against the direction of the
/// change before is a flip, f goes to m · flip + (1 - m) f and the mean of q to m q + (1 - m) mean. Where f
/// comes above the threshold, the weight becomes what the mean is rounded to, and stays. Rounded values stand
/// for the codes of the paper: under scales that stay they are the same, times the scale.
///
/// - SeeAlso: Nagel et al. 2022, arXiv:2203.11086, algorithm 1.
final class FrozenCodes {
    private struct Slot {
        let module: LinearModule
        let layer: Int
        let entry: ParameterLayout.Entry
        let offset: Int
    }

    private let rule: FlipRule
    private let slots: [Slot]
    private let device: any ComputeDevice
    /// What weights were rounded to, its mean, and how often it flips.
    private let buffers: [AlignedBuffer<Float>]
    private let memories: [any DeviceMemory]
    /// A byte for each weight.
    private let states: AlignedBuffer<Float>
    private let stateMemory: any DeviceMemory

    /// Nil where the settings ask for none.
    init?(
        _ settings: TrainingEngine.Settings,
        _ weights: LayerWeights,
        gradients: GradientArena,
        device: any ComputeDevice
    ) {
        guard let rule = settings.freezing else { return nil }
        self.rule = rule
        self.device = device
        var slots: [Slot] = []
        var total = 0
        for layer in 0..<weights.configuration.layerCount {
            for module in LinearModule.allCases {
                let name = module.name(layer: layer)
                guard let entry = weights.module(module, layer: layer)?.weight,
                    settings.recipe.format(forModule: name, progress: 1) != nil,
                    gradients.gradient(of: entry) != nil
                else { continue }
                slots.append(Slot(module: module, layer: layer, entry: entry, offset: total))
                total += Self.padded(entry.count)
            }
        }
        self.slots = slots
        buffers = (0..<3).map { _ in AlignedBuffer(count: max(total, 1)) }
        memories = buffers.map(device.adopt)
        states = AlignedBuffer(count: max(total / 4, 1))
        stateMemory = device.adopt(states)
    }

    /// Elements of each of the numbers that are kept of a weight; each weight begins a cache line.
    static func padded(_ count: Int) -> Int { (count + 63) / 64 * 64 }

    /// Bytes that are kept of weights of so many elements.
    static func byteCount(_ counts: [Int]) -> Int {
        counts.reduce(0) { $0 + padded($1) } * (3 * MemoryLayout<Float>.stride + 1)
    }

    /// What is kept, for checkpoints.
    var tensors: [TrainingTensor] {
        settle()
        return slots.flatMap { slot in
            zip(["rounded.", "mean.", "flips."], buffers).map { prefix, buffer in
                TrainingTensor(
                    name: prefix + slot.entry.name,
                    type: .float32,
                    shape: slot.entry.shape,
                    start: UnsafeMutableRawPointer(buffer.pointer + slot.offset)
                )
            } + [
                TrainingTensor(
                    name: "frozen." + slot.entry.name,
                    type: .uint8,
                    shape: slot.entry.shape,
                    start: UnsafeMutableRawPointer(states.pointer) + slot.offset
                )
            ]
        }
    }

    private func settle() {
        for memory in memories + [stateMemory] { device.settle(memory) }
    }

    /// Takes what the host changed in ``tensors``.
    func refresh() {
        for memory in memories + [stateMemory] { device.refresh(memory) }
    }

    /// How many weights are frozen, of how many that may be.
    var counts: (frozen: Int, all: Int) {
        settle()
        let bytes = UnsafeRawPointer(states.pointer)
        var counts = (frozen: 0, all: 0)
        for slot in slots {
            let part = UnsafeRawBufferPointer(start: bytes + slot.offset, count: slot.entry.count)
            counts.frozen += part.count { $0 == FlipRule.frozenState }
            counts.all += part.count
        }
        return counts
    }

    /// Takes in the weights after a step, and puts frozen ones back.
    func update(_ weights: LayerWeights) {
        for slot in slots {
            guard let format = weights.format(slot.module, layer: slot.layer) else { continue }
            let weight = weights.tensor(slot.entry)
            func part(_ index: Int) -> DeviceTensor {
                GradientArena.tensor(slot.entry, in: memories[index], at: slot.offset)
            }
            let state = GradientArena.tensor(
                slot.entry,
                in: stateMemory,
                at: slot.offset,
                type: .uint8
            )
            let tensors = FlipTensors(
                weight: weight,
                rounded: weights.rounded(slot.module, slot.layer, format),
                previous: part(0),
                mean: part(1),
                frequency: part(2),
                state: state
            )
            device.trackFlips(tensors, rule: rule)
            // What is to be frozen is the mean now, and becomes what that is rounded to.
            _ = weights.rounded(slot.module, slot.layer, format)
            device.freezeFlips(tensors)
        }
    }
}
