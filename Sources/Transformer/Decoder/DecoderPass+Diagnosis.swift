internal import Devices

/// Finding out where a pass's numbers stop being finite.
extension DecoderPass {
    /// Runs a pass again, layer by layer, and names the first module that puts out a NaN or an
    /// infinity; nil if the hidden states are finite to the end.
    ///
    /// `tokens`: In the vocabulary, at most as many as the arena has rows.
    func firstNonFinite(_ tokens: UnsafePointer<Int32>, rows: Int) -> String? {
        var found: String?
        let isFine = forward(tokens, rows: rows) { layer, stream in
            guard amax(stream).isFinite else {
                found = layer.map(culprit(inLayer:)) ?? ParameterLayout.embeddingModule
                return false
            }
            return true
        }
        guard isFine, !amax(finalNorm).isFinite else { return found }
        return ParameterLayout.finalNormModule
    }

    /// What of a layer that was just computed into ``output`` puts out a NaN or an infinity first; nil if
    /// its output is finite.
    func firstNonFinite(inLayer index: Int) -> String? {
        amax(output).isFinite ? nil : culprit(inLayer: index)
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
        let layer = layer(index)
        func name(_ site: NormSite) -> String { site.suffix(architecture.normPlacement) }
        func output(_ site: NormSite) -> DeviceTensor? { layer.norm(site)?.input }
        // A projection, and its norm's output, which are one where there is no norm.
        let steps: [(values: DeviceTensor?, name: String)] = [
            // Without a norm there, attention's input is the layer's, which its output may have
            // replaced.
            (output(.attentionInput).map { _ in layer.attentionInput }, name(.attentionInput)),
            (output(.query) ?? layer.query, LinearModule.query.suffix),
            (layer.query, name(.query)),
            (output(.key) ?? layer.key, LinearModule.key.suffix),
            (layer.key, name(.key)), (layer.value, LinearModule.value.suffix),
            (layer.attention, "self_attn"),
            (output(.attentionOutput) ?? layer.middle, LinearModule.output.suffix),
            (layer.middle, name(.attentionOutput)),
            (output(.mlpInput).map { _ in layer.mlpInput }, name(.mlpInput)),
            (output(.mlpOutput), "mlp"),
        ]
        let first = steps.first { step in
            step.values.map { !amax($0).isFinite } ?? false
        }
        let last = output(.mlpOutput) == nil ? "mlp" : name(.mlpOutput)
        return "model.layers.\(index)." + (first?.name ?? last)
    }
}
