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
        multiply(.forward(input: hidden, weight: .tensor(head), output: logits))
        return logits.values
    }
}

extension MatrixProduct {
    /// ``linear(output:input:weight:rows:inputWidth:outputWidth:)`` of arrays; `isPacked`: of a weight
    /// that was packed before, where there is such a thing.
    func linear(
        output: inout [Float],
        input: [Float],
        weight: [Float],
        isPacked: Bool = false,
        rows: Int,
        inputWidth: Int,
        outputWidth: Int
    ) {
        with(weight, isPacked, rows: outputWidth, columns: inputWidth) {
            linear(
                output: &output,
                input: input,
                weight: $0,
                rows: rows,
                inputWidth: inputWidth,
                outputWidth: outputWidth
            )
        }
    }

    /// The gradient of the input, of arrays.
    func linearInputGradient(
        _ inputGradient: inout [Float],
        accumulating: Float,
        outputGradient: [Float],
        weight: [Float],
        isPacked: Bool = false,
        rows: Int,
        inputWidth: Int,
        outputWidth: Int
    ) {
        with(weight, isPacked, rows: outputWidth, columns: inputWidth) {
            linearInputGradient(
                &inputGradient,
                accumulating: accumulating,
                outputGradient: outputGradient,
                weight: $0,
                rows: rows,
                inputWidth: inputWidth,
                outputWidth: outputWidth
            )
        }
    }

    private func with(
        _ weight: [Float],
        _ isPacked: Bool,
        rows: Int,
        columns: Int,
        _ body: (Weight) -> Void
    ) {
        let count = packedCount(rows: rows, columns: columns)
        weight.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return }
            guard isPacked, count > 0 else { return body(.rows(start)) }
            let words = AlignedBuffer<UInt32>(count: count)
            pack(start, rows: rows, columns: columns, into: words.pointer)
            body(.packed(words.pointer))
        }
    }
}
