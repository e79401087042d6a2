internal import Devices
internal import Formats

/// How a pass rounds what flows through it.
extension DecoderPass {
    /// A linear module's input, `[rows, input width]`, as its product takes it; valid until the next
    /// call.
    ///
    /// `previous`: The module whose input, the same, was prepared by the call before; modules that
    /// share an input and its rounding share the work.
    func prepared(
        _ module: LinearModule,
        _ layer: Int,
        _ input: DeviceTensor,
        after previous: LinearModule? = nil
    ) -> DeviceTensor {
        guard let rounding = weights.input(module, layer: layer) else { return input }
        let rounded = activations.quantizedInput.reshaped(rows: rows, columns: input.columns)
        if let previous, weights.input(previous, layer: layer) == rounding { return rounded }
        device.fakeQuantize(input, rounding.operation, into: rounded)
        return rounded
    }

    /// Rounds a layer's rotated keys and its values in place, where the cache is FP8.
    func roundCache(_ index: Int, _ layer: ActivationArena.Layer) {
        onCache?(index, layer.key, layer.value)
        guard weights.cacheScales.indices.contains(index) else { return }
        let scales = weights.cacheScales[index]
        func round(_ values: DeviceTensor, _ scale: Float) {
            device.fakeQuantize(values, .init(.fp8PerTensor, scale: .fixed(scale)), into: values)
        }
        round(layer.key, scales.key)
        round(layer.value, scales.value)
    }

    /// Rounds what the head multiplies in place, where its inputs are quantized.
    func roundHeadInput() {
        guard let rounding = weights.headInput else { return }
        device.fakeQuantize(finalNorm, rounding.operation, into: finalNorm)
    }
}

extension ActivationQuantization.Input {
    /// The device's rounding.
    var operation: Rounding {
        Rounding(format, scale: scale.map { .fixed($0) } ?? .dynamic)
    }
}
