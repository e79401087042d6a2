internal import Kernels
internal import Quantization

/// Finding out where a pass's numbers stop being finite.
extension DecoderPass {
    /// Runs a pass again, layer by layer, and names the first module that puts out a NaN or an
    /// infinity; nil if the hidden states are finite to the end.
    ///
    /// `tokens`: In the vocabulary, at most as many as the arena has rows.
    func firstNonFinite(_ tokens: UnsafePointer<Int32>, rows: Int) -> String? {
        let width = configuration.hiddenSize
        var found: String?
        let isFine = forward(tokens, rows: rows) { layer, stream in
            guard isFinite(stream, width) else {
                found = layer.map(culprit(inLayer:)) ?? ParameterLayout.embeddingModule
                return false
            }
            return true
        }
        guard isFine, !isFinite(activations.finalNorm, width) else { return found }
        return ParameterLayout.finalNormModule
    }

    /// The error of a pass whose loss or logits are not finite; `what` says which, as in "the loss".
    func nonFiniteError(
        _ what: String,
        tokens: UnsafePointer<Int32>,
        rows: Int
    ) -> TransformerError {
        nonFiniteError(what, at: firstNonFinite(tokens, rows: rows))
    }

    /// The same where the place is known; nil is the head.
    func nonFiniteError(_ what: String, at place: String?) -> TransformerError {
        TransformerError(
            .nonFinite,
            """
            \(what) is not finite; a NaN or an infinity first appears in \(place ?? ParameterLayout.headModule), of \
            \(configuration.layerCount) layers
            """
        )
    }

    /// What of a layer puts it out first; the layer's activations must still be in its slot.
    private func culprit(inLayer index: Int) -> String {
        let layer = activations.layers[index]
        let (c, q, k) = (
            configuration.hiddenSize, configuration.queryWidth, configuration.keyValueWidth
        )
        func name(_ site: NormSite) -> String { site.suffix(architecture.normPlacement) }
        func output(_ site: NormSite) -> UnsafeMutablePointer<Float>? { layer.norm(site)?.input }
        // A projection, and its norm's output, which are one where there is no norm.
        let steps: [(values: UnsafeMutablePointer<Float>?, width: Int, name: String)] = [
            // Without a norm there, attention's input is the layer's, which its output may have
            // replaced.
            (
                output(.attentionInput).map { _ in layer.attentionInput }, c,
                name(.attentionInput)
            ),
            (output(.query) ?? layer.query, q, LinearModule.query.suffix),
            (layer.query, q, name(.query)),
            (output(.key) ?? layer.key, k, LinearModule.key.suffix),
            (layer.key, k, name(.key)), (layer.value, k, LinearModule.value.suffix),
            (layer.attention, q, "self_attn"),
            (output(.attentionOutput) ?? layer.middle, c, LinearModule.output.suffix),
            (layer.middle, c, name(.attentionOutput)),
            (output(.mlpInput).map { _ in layer.mlpInput }, c, name(.mlpInput)),
            (output(.mlpOutput), c, "mlp"),
        ]
        let first = steps.first { step in
            step.values.map { !isFinite(UnsafePointer($0), step.width) } ?? false
        }
        let last = output(.mlpOutput) == nil ? "mlp" : name(.mlpOutput)
        return "model.layers.\(index)." + (first?.name ?? last)
    }

    private func isFinite(_ values: UnsafePointer<Float>, _ width: Int) -> Bool {
        BlockQuantizer.amax(values, count: rows * width, team: team).isFinite
    }
}
