internal import Kernels

@testable internal import Devices

/// Tensors of a CPU device, seen by tests.
extension DeviceTensor {
    /// A tensor that holds `values`, row by row.
    init(_ values: [Float], columns: Int, on device: any ComputeDevice) {
        self = device.tensor(rows: values.count / columns, columns: columns)
        device.upload(values, to: self)
    }

    /// The elements, row by row.
    var values: [Float] { Array(UnsafeBufferPointer(start: floats, count: count)) }

    /// Whether both are the same elements, seen alike.
    func isSame(as other: DeviceTensor) -> Bool {
        memory === other.memory && offset == other.offset && rows == other.rows
            && columns == other.columns && type == other.type
    }
}

extension ComputeDevice {
    /// `[rows, vocabulary]` of hidden states under a head.
    func logits(hidden: DeviceTensor, head: DeviceTensor) -> [Float] {
        let logits = tensor(rows: hidden.rows, columns: head.rows)
        multiply(.forward(input: hidden, weight: head, output: logits))
        return logits.values
    }
}
