internal import Devices
internal import Kernels

/// The token that follows each one of some windows; none follows a window's last, nor one that is silent.
struct NextTokenTargets {
    /// int32 `[1, rows]`; below 0 is none.
    let tensor: DeviceTensor
    private let host: AlignedBuffer<Int32>
    private let length: Int
    private let rules: DocumentRules?
    private let device: any ComputeDevice

    /// Targets of `rows` tokens in windows of `length`.
    init(
        rows: Int,
        length: Int,
        _ rules: DocumentRules? = nil,
        device: any ComputeDevice
    ) {
        self.rules = rules
        tensor = device.tensor(columns: rows, type: .int32)
        host = AlignedBuffer(count: rows)
        self.length = length
        self.device = device
    }

    /// Makes them those of `tokens`, as many as there are rows.
    func set(_ tokens: UnsafePointer<Int32>) {
        for row in 0..<host.count {
            let isLast = row % length == length - 1
            host.pointer[row] =
                isLast || rules.isSilent(tokens[row]) ? -1 : MarkedToken.token(tokens[row + 1])
        }
        device.upload(host.pointer, to: tensor)
    }
}
