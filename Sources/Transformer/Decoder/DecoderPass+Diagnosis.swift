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
                found = layer.map(culprit(inLayer:)) ?? "model.embed_tokens"
                return false
            }
            return true
        }
        guard isFine, !isFinite(activations.finalNorm, width) else { return found }
        return "model.norm"
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
            \(what) is not finite; a NaN or an infinity first appears in \(place ?? "lm_head"), of \
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
        let prefix = "model.layers.\(index)."
        let steps: [(UnsafePointer<Float>, Int, String)] = [
            (UnsafePointer(layer.attentionInput), c, "input_layernorm"),
            (UnsafePointer(layer.query), q, LinearModule.query.suffix),
            (UnsafePointer(layer.key), k, LinearModule.key.suffix),
            (UnsafePointer(layer.value), k, LinearModule.value.suffix),
            (UnsafePointer(layer.attention), q, "self_attn"),
            (UnsafePointer(layer.middle), c, LinearModule.output.suffix),
        ]
        // Without a norm there, attention's input is the layer's, which the output may have replaced.
        let isKept = architecture.normPlacement != .after
        let first = steps.dropFirst(isKept ? 0 : 1)
            .first { values, width, _ in !isFinite(values, width) }
        return prefix + (first?.2 ?? "mlp")
    }

    private func isFinite(_ values: UnsafePointer<Float>, _ width: Int) -> Bool {
        BlockQuantizer.amax(values, count: rows * width, team: team).isFinite
    }
}
