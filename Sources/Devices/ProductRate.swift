extension ComputeDevice {
    /// Floating-point operations a second that products of a shape reach here, the best of several: what a
    /// training's own rate is compared with.
    ///
    /// `output = input · weightᵀ`, with `input` of `[rows, inputs]` and `weight` of `[outputs, inputs]`. It takes a
    /// tenth of a second, or three products.
    public func productRate(rows: Int, inputs: Int, outputs: Int) -> Double {
        let input = tensor(rows: rows, columns: inputs)
        let output = tensor(rows: rows, columns: outputs)
        let weight = tensor(rows: outputs, columns: inputs)
        for tensor in [input, weight] { clear(tensor) }
        let size = preparedByteCount(rows: outputs, columns: inputs)
        let operand: WeightOperand =
            size > 0
            ? prepare(weight, in: tensor(columns: size, type: .uint8)) : .tensor(weight)
        let clock = ContinuousClock()
        let start = clock.now
        var best = Duration.seconds(1_000_000)
        var count = 0
        while count < 3 || clock.now - start < .milliseconds(100) {
            let time = clock.measure {
                multiply(.forward(input: input, weight: operand, output: output))
                settle(output.memory)
            }
            // The first one meets cold caches.
            best = count == 0 ? best : min(best, time)
            count += 1
        }
        return 2 * Double(rows) * Double(inputs) * Double(outputs) / max(best / .seconds(1), 1e-9)
    }
}
