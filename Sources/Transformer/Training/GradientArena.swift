internal import Devices

/// Gradients of parameters that are trained, in one arena with none for others.
final class GradientArena {
    /// A trainable parameter and its place here.
    struct Slot {
        let entry: ParameterLayout.Entry
        let offset: Int
    }

    let slots: [Slot]
    /// All gradients, one behind the other.
    let storage: DeviceTensor
    private let device: any ComputeDevice
    // By the parameter's offset in the parameter arena.
    private let offsets: [Int: Int]

    /// Room for the gradients of some parameters of one arena.
    init(_ entries: [ParameterLayout.Entry], device: any ComputeDevice) {
        var slots: [Slot] = []
        var total = 0
        for entry in entries {
            slots.append(Slot(entry: entry, offset: total))
            total += Self.paddedCount(entry)
        }
        self.slots = slots
        self.device = device
        storage = device.tensor(columns: total)
        offsets = Dictionary(uniqueKeysWithValues: slots.map { ($0.entry.offset, $0.offset) })
    }

    /// Elements that an arena takes.
    static func elementCount(_ entries: [ParameterLayout.Entry]) -> Int {
        entries.reduce(0) { $0 + paddedCount($1) }
    }

    /// Each parameter starts on a cache line of its own.
    private static func paddedCount(_ entry: ParameterLayout.Entry) -> Int {
        (entry.count + 15) / 16 * 16
    }

    /// The gradient of a parameter, seen as its matrix, or nil if it is frozen.
    func gradient(of entry: ParameterLayout.Entry) -> DeviceTensor? {
        offsets[entry.offset].map { Self.tensor(entry, in: storage.memory, at: $0) }
    }

    /// A parameter's part of an arena of this layout.
    static func tensor(
        _ entry: ParameterLayout.Entry,
        in memory: any DeviceMemory,
        at offset: Int,
        type: ElementType = .float32
    ) -> DeviceTensor {
        DeviceTensor(memory, offset: offset, rows: entry.rows, columns: entry.columns, type: type)
    }

    func clear() { device.clear(storage) }

    /// The parameter nearest to the model's end whose gradient is not finite; nil if all are.
    ///
    /// The backward pass goes from there to the front.
    func lastNonFinite() -> String? {
        slots.last { slot in
            let gradient = Self.tensor(slot.entry, in: storage.memory, at: slot.offset)
            return !device.norm(of: gradient).isFinite
        }?.entry.name
    }

    /// Global L2 norm.
    func norm() -> Double { device.norm(of: storage) }
}
