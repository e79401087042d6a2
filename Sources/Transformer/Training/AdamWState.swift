internal import Devices
internal import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// AdamW's two moments of the trainable parameters.
public final class AdamWState: @unchecked Sendable {
    // Unsynchronized: the engine that owns it is used by one thread at a time.

    /// A trainable parameter's moments, in bytes.
    public struct Moments {
        /// The parameter's name.
        public let name: String
        /// The parameter's shape.
        public let shape: [Int]
        /// Running mean of gradients, row-major like the parameter.
        public let first: UnsafeMutableRawBufferPointer
        /// Running mean of squared gradients, likewise; 0 or more.
        public let second: UnsafeMutableRawBufferPointer
    }

    /// What the elements of all moments are.
    public let precision: MomentPrecision

    private let slots: [GradientArena.Slot]
    private let first: AlignedBuffer<Float>
    private let second: AlignedBuffer<Float>
    private let firstMemory: any DeviceMemory
    private let secondMemory: any DeviceMemory
    private let device: any ComputeDevice

    init(
        slots: [GradientArena.Slot],
        count: Int,
        precision: MomentPrecision,
        device: any ComputeDevice
    ) {
        self.slots = slots
        self.precision = precision
        self.device = device
        // Of BF16, two elements lie where one of FP32 would.
        let room = (count * precision.byteCount + 3) / 4
        first = AlignedBuffer(count: room)
        second = AlignedBuffer(count: room)
        firstMemory = device.adopt(first)
        secondMemory = device.adopt(second)
    }

    /// The moments by parameter, for checkpoints.
    public var moments: [Moments] {
        device.settle(firstMemory)
        device.settle(secondMemory)
        func bytes(
            _ buffer: AlignedBuffer<Float>,
            _ slot: GradientArena.Slot
        ) -> UnsafeMutableRawBufferPointer {
            UnsafeMutableRawBufferPointer(
                start: UnsafeMutableRawPointer(buffer.pointer) + slot.offset * precision.byteCount,
                count: slot.entry.count * precision.byteCount
            )
        }
        return slots.map { slot in
            Moments(
                name: slot.entry.name,
                shape: slot.entry.shape,
                first: bytes(first, slot),
                second: bytes(second, slot)
            )
        }
    }

    /// Takes what the host changed in ``moments``.
    func refresh() {
        device.refresh(firstMemory)
        device.refresh(secondMemory)
    }

    /// Sets all moments to zero.
    func clear() {
        for memory in [firstMemory, secondMemory] {
            device.clear(DeviceTensor(memory, columns: memory.byteCount / 4))
        }
    }

    /// One update of all trainable parameters of `weights`; `age` is how many updates moments
    /// hold then, this one included; `seed` is another one for each step.
    func update(
        _ weights: LayerWeights,
        gradients: GradientArena,
        learningRate: Double,
        configuration: AdamWConfiguration,
        age: Int,
        seed: Int,
        gradientScale: Float
    ) {
        var step = AdamWStep(
            learningRate: Float(learningRate),
            beta1: Float(configuration.beta1),
            beta2: Float(configuration.beta2),
            epsilon: Float(configuration.epsilon),
            weightDecay: 0,
            biasCorrection1: Float(1 - pow(configuration.beta1, Double(age))),
            biasCorrection2: Float(1 - pow(configuration.beta2, Double(age))),
            gradientScale: gradientScale,
            seed: UInt32(truncatingIfNeeded: seed)
        )
        let type: ElementType = precision == .bfloat16 ? .bfloat16 : .float32
        for slot in slots {
            step.weightDecay = slot.entry.shape.count > 1 ? Float(configuration.weightDecay) : 0
            func moment(_ memory: any DeviceMemory) -> DeviceTensor {
                GradientArena.tensor(slot.entry, in: memory, at: slot.offset, type: type)
            }
            device.adamW(
                AdamWTensors(
                    weight: weights.tensor(slot.entry),
                    gradient: GradientArena.tensor(
                        slot.entry,
                        in: gradients.storage.memory,
                        at: slot.offset
                    ),
                    firstMoment: moment(firstMemory),
                    secondMoment: moment(secondMemory),
                    place: slot.offset
                ),
                step: step
            )
        }
    }
}
