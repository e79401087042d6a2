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
    /// Those that change.
    private let entries: [ParameterLayout.Entry]
    private let decay: Double
    private let device: any ComputeDevice

    /// Nil where the settings ask for none.
    init?(
        _ settings: TrainingEngine.Settings,
        _ parameters: Parameters,
        _ entries: [ParameterLayout.Entry],
        _ device: any ComputeDevice
    ) throws {
        guard let decay = settings.averageDecay else { return nil }
        self.parameters = try parameters.copy()
        self.entries = entries
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
        for entry in entries {
            let average = DeviceTensor(
                memory,
                offset: entry.offset,
                rows: entry.rows,
                columns: entry.columns
            )
            device.average(average, toward: weights.tensor(entry), share: share)
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

    /// Takes what the host restored; what does not change is that of `weights`, which may have begun
    /// elsewhere than the average did.
    func resume(beside weights: Parameters) {
        let averaged = Set(entries.map(\.offset))
        for entry in parameters.layout.entries where !averaged.contains(entry.offset) {
            (parameters.storage.pointer + entry.offset).update(
                from: weights.storage.pointer + entry.offset,
                count: entry.count
            )
        }
        refresh()
    }

    private func refresh() { device.refresh(memory) }

    /// Brings what the device computed into ``parameters``.
    func settle() { device.settle(memory) }

    /// The averages by parameter, for checkpoints: `ema.` and the name.
    var tensors: [TrainingTensor] {
        settle()
        return entries.map { entry in
            TrainingTensor(
                name: "ema." + entry.name,
                type: .float32,
                shape: entry.shape,
                start: UnsafeMutableRawPointer(parameters.storage.pointer + entry.offset)
            )
        }
    }
}
