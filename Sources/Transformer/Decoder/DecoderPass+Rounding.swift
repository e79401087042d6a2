internal import Formats
internal import Kernels
internal import Quantization

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
        _ input: UnsafeMutablePointer<Float>,
        after previous: LinearModule? = nil
    ) -> UnsafePointer<Float> {
        guard let rounding = weights.input(module, layer: layer) else {
            return UnsafePointer(input)
        }
        let rounded = activations.quantizedInput
        if let previous, weights.input(previous, layer: layer) == rounding {
            return UnsafePointer(rounded)
        }
        round(input, into: rounded, width: module.inputWidth(configuration), rounding)
        return UnsafePointer(rounded)
    }

    /// Rounds a layer's rotated keys and its values in place, where the cache is FP8.
    func roundCache(_ index: Int, _ layer: ActivationArena.Layer) {
        guard weights.cacheScales.indices.contains(index) else { return }
        let scales = weights.cacheScales[index]
        let width = configuration.keyValueWidth
        let format = QuantizationFormat.fp8PerTensor
        round(layer.key, into: layer.key, width: width, .init(format: format, scale: scales.key))
        round(
            layer.value,
            into: layer.value,
            width: width,
            .init(format: format, scale: scales.value)
        )
    }

    /// Rounds what the head multiplies in place, where its inputs are quantized.
    func roundHeadInput() {
        guard let rounding = weights.headInput else { return }
        let hidden = activations.finalNorm
        round(hidden, into: hidden, width: configuration.hiddenSize, rounding)
    }

    private func round(
        _ input: UnsafeMutablePointer<Float>,
        into output: UnsafeMutablePointer<Float>,
        width: Int,
        _ rounding: ActivationQuantization.Input
    ) {
        if let scale = rounding.scale {
            BlockQuantizer.fakeQuantize(
                input,
                into: output,
                rows: rows,
                columns: width,
                format: rounding.format,
                scale: scale,
                team: team
            )
        } else {
            BlockQuantizer.fakeQuantize(
                input,
                into: output,
                rows: rows,
                columns: width,
                format: rounding.format,
                team: team
            )
        }
    }
}
