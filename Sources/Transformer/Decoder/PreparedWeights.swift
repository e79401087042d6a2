internal import Devices

/// Weights in the form that a device's products read best, made once for all products until the weights
/// change.
final class PreparedWeights {
    private let device: any ComputeDevice
    /// Where each weight's form is; nil where there is no weight.
    private let places: [DeviceTensor?]
    private var operands: [WeightOperand?]

    /// Places for weights; nil for a device whose products read weights as they are.
    init?(_ entries: [ParameterLayout.Entry?], device: any ComputeDevice) {
        self.device = device
        let sizes = entries.map { entry in
            entry.map { Self.aligned(device.preparedByteCount(rows: $0.rows, columns: $0.columns)) }
        }
        let total = sizes.reduce(0) { $0 + ($1 ?? 0) }
        guard total > 0 else { return nil }
        let memory = device.allocate(byteCount: total)
        var offset = 0
        places = sizes.map { size in
            guard let size else { return nil }
            defer { offset += size }
            return DeviceTensor(memory, offset: offset, columns: size, type: .uint8)
        }
        operands = Array(repeating: nil, count: entries.count)
    }

    /// A cache line's multiple, so that each weight begins one.
    static func aligned(_ byteCount: Int) -> Int { (byteCount + 63) / 64 * 64 }

    /// The weight at `index`, made of `weight` unless it was since the last ``invalidate()``.
    func operand(_ index: Int, _ weight: () -> DeviceTensor) -> WeightOperand {
        if let operand = operands[index] { return operand }
        guard let place = places[index] else {
            preconditionFailure("no weight was to be prepared at \(index)")
        }
        let operand = device.prepare(weight(), in: place)
        operands[index] = operand
        return operand
    }

    /// What follows is of other weights, or of another rounding.
    func invalidate() {
        for index in operands.indices { operands[index] = nil }
    }
}
