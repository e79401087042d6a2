internal import Devices
internal import Kernels

/// A moving average of the weights while they are trained, which is validated and exported in their place.
///
/// After step n, from 1, each trained weight's average a goes to d a + (1 - d) w, d being the decay but at
/// most (1 + n) / (10 + n): where a run is short, the weights it began with are forgotten all the same.
///
/// - SeeAlso: TensorFlow, `tf.train.ExponentialMovingAverage` with `num_updates`.
final class WeightAverage {
    /// All parameters; frozen ones are as they came.
    let parameters: Parameters
    private let memory: any DeviceMemory
    private let slots: [GradientArena.Slot]
    private let decay: Double
    private let device: any ComputeDevice

    /// Nil where the settings ask for none.
    init?(
        _ settings: TrainingEngine.Settings,
        _ parameters: Parameters,
        _ slots: [GradientArena.Slot],
        _ device: any ComputeDevice
    ) throws {
        guard let decay = settings.averageDecay else { return nil }
        self.parameters = try parameters.copy()
        self.slots = slots
        self.decay = decay
        self.device = device
        memory = device.adopt(self.parameters.storage)
    }

    /// The decay of step `number`, from 1.
    static func decay(_ decay: Double, step number: Int) -> Double {
        min(decay, Double(1 + number) / Double(10 + number))
    }

    /// Takes in the weights after step `number`, from 1.
    func add(_ weights: LayerWeights, step number: Int) {
        let share = Float(1 - Self.decay(decay, step: number))
        for slot in slots {
            let average = DeviceTensor(
                memory,
                offset: slot.entry.offset,
                rows: slot.entry.rows,
                columns: slot.entry.columns
            )
            device.average(average, toward: weights.tensor(slot.entry), share: share)
        }
    }

    /// Begins at the weights as they are.
    func begin(at weights: Parameters) {
        parameters.storage.pointer.update(
            from: weights.storage.pointer,
            count: weights.storage.count
        )
        refresh()
    }

    /// Takes what the host changed.
    func refresh() { device.refresh(memory) }

    /// Brings what the device computed into ``parameters``.
    func settle() { device.settle(memory) }

    /// The averages by parameter, for checkpoints: `ema.` and the name.
    var tensors: [TrainingTensor] {
        settle()
        return slots.map { slot in
            TrainingTensor(
                name: "ema." + slot.entry.name,
                type: .float32,
                shape: slot.entry.shape,
                start: UnsafeMutableRawPointer(parameters.storage.pointer + slot.entry.offset)
            )
        }
    }
}
