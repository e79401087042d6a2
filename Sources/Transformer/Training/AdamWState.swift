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

    /// A trainable parameter's moments.
    public struct Moments {
        /// The parameter's name.
        public let name: String
        /// The parameter's shape.
        public let shape: [Int]
        /// Running mean of gradients, row-major like the parameter.
        public let first: UnsafeMutableBufferPointer<Float>
        /// Running mean of squared gradients, likewise; 0 or more.
        public let second: UnsafeMutableBufferPointer<Float>
    }

    private let slots: [GradientArena.Slot]
    private let first: AlignedBuffer<Float>
    private let second: AlignedBuffer<Float>
    private let firstMemory: any DeviceMemory
    private let secondMemory: any DeviceMemory
    private let device: any ComputeDevice

    init(slots: [GradientArena.Slot], count: Int, device: any ComputeDevice) {
        self.slots = slots
        self.device = device
        first = AlignedBuffer(count: count)
        second = AlignedBuffer(count: count)
        firstMemory = device.adopt(first)
        secondMemory = device.adopt(second)
    }

    /// The moments by parameter, for checkpoints.
    public var moments: [Moments] {
        device.settle(firstMemory)
        device.settle(secondMemory)
        return slots.map { slot in
            Moments(
                name: slot.entry.name,
                shape: slot.entry.shape,
                first: .init(start: first.pointer + slot.offset, count: slot.entry.count),
                second: .init(start: second.pointer + slot.offset, count: slot.entry.count)
            )
        }
    }

    /// Takes what the host changed in ``moments``.
    func refresh() {
        device.refresh(firstMemory)
        device.refresh(secondMemory)
    }

    /// One update of all trainable parameters of `weights`.
    func update(
        _ weights: LayerWeights,
        gradients: GradientArena,
        learningRate: Double,
        configuration: AdamWConfiguration,
        stepCount: Int,
        gradientScale: Float
    ) {
        var step = AdamWStep(
            learningRate: Float(learningRate),
            beta1: Float(configuration.beta1),
            beta2: Float(configuration.beta2),
            epsilon: Float(configuration.epsilon),
            weightDecay: 0,
            biasCorrection1: Float(1 - pow(configuration.beta1, Double(stepCount))),
            biasCorrection2: Float(1 - pow(configuration.beta2, Double(stepCount))),
            gradientScale: gradientScale
        )
        for slot in slots {
            step.weightDecay = slot.entry.shape.count > 1 ? Float(configuration.weightDecay) : 0
            func tensor(_ memory: any DeviceMemory) -> DeviceTensor {
                GradientArena.tensor(slot.entry, in: memory, at: slot.offset)
            }
            device.adamW(
                AdamWTensors(
                    weight: weights.tensor(slot.entry),
                    gradient: tensor(gradients.storage.memory),
                    firstMoment: tensor(firstMemory),
                    secondMoment: tensor(secondMemory)
                ),
                step: step
            )
        }
    }
}
