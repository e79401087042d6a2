internal import Formats
public import Kernels

/// How far a changed model's next-token distributions lie from the original's, on the same tokens.
public struct DivergenceResult: Sendable, Codable, Equatable {
    /// Mean KL(original ‖ changed) per token, in nats; 0 or more but for rounding.
    public var klDivergence: Double
    /// Tokens compared.
    public var tokenCount: Int
}

/// Remembers what a model puts out on some tokens, to compare it with what becomes of it.
///
/// Not for concurrent use.
public final class LogitDivergence {
    private let tokens: [Int32]
    private let length: Int
    private let team: ThreadTeam
    private let configuration: ModelConfiguration
    /// The original's normalized hidden states, `[tokens, hidden]`.
    private let hidden: AlignedBuffer<Float>
    /// Its head, `[vocabulary, hidden]`.
    private let head: AlignedBuffer<Float>

    /// Runs the original on whole windows of `length` tokens, at least 2; tokens that fill no window are
    /// left out.
    ///
    /// Holds `[tokens, hidden]` and `[vocabulary, hidden]` floats.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if no window is filled or a token is not in the
    ///   vocabulary.
    public init(
        original: Parameters,
        tokens: some Collection<Int32>,
        length: Int,
        team: ThreadTeam
    ) throws {
        let windows = length > 1 ? tokens.count / length : 0
        let limit = Int32(original.configuration.vocabularySize)
        guard windows > 0, tokens.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(
                .invalidTokens,
                "\(tokens.count) tokens hold no window of \(length), or some are out of range"
            )
        }
        self.tokens = Array(tokens.prefix(windows * length))
        self.length = length
        self.team = team
        configuration = original.configuration
        let width = configuration.hiddenSize
        hidden = AlignedBuffer(count: windows * length * width)
        let weights = try LayerWeights(parameters: original, recipe: .none, team: team)
        head = AlignedBuffer(count: configuration.vocabularySize * width)
        head.pointer.update(from: weights.effectiveHead(), count: head.count)
        let pass = singleWindowPass(weights)
        forEachWindow { window, tokens in
            pass.forward(tokens)
            (hidden.pointer + window * length * width)
                .update(from: pass.activations.finalNorm, count: length * width)
        }
    }

    /// The divergence of a model of the same shape; its head may be tied or not.
    ///
    /// `activations`: How the changed model's inputs, keys and values are rounded.
    ///
    /// - Throws: ``TransformerError``; `nonFinite` if the divergence is not finite, naming the layer
    ///   where that begins.
    public func measure(
        _ changed: Parameters,
        activations: ActivationQuantization = .none
    ) throws -> DivergenceResult {
        let weights = try LayerWeights(
            parameters: changed,
            recipe: .none,
            activations: activations,
            team: team
        )
        let pass = singleWindowPass(weights)
        let loss = lossHead()
        var total = LossSum()
        try forEachWindow { window, tokens in
            pass.forward(tokens)
            let sum = divergence(window, of: pass, head: weights.effectiveHead(), loss)
            guard sum.loss.isFinite else {
                let what = "the divergence from the original on window \(window + 1)"
                throw pass.nonFiniteError(what, tokens: tokens, rows: length)
            }
            total.add(sum)
        }
        return DivergenceResult(
            klDivergence: total.loss / Double(self.tokens.count),
            tokenCount: self.tokens.count
        )
    }

    /// Calls `body` once per weight group and candidate with the divergence that rounding this group
    /// alone causes.
    ///
    /// `variants`: What to measure, in the order of layers; each changes the parameters in place and
    /// changes them back. The pass resumes at the layer of the change.
    func measure(
        _ parameters: Parameters,
        variants: [(layer: Int, change: () throws -> Void, undo: () -> Void)],
        body: (Int, DivergenceResult) throws -> Void
    ) throws {
        let weights = try LayerWeights(parameters: parameters, recipe: .none, team: team)
        let layers = configuration.layerCount
        let pass = singleWindowPass(weights)
        let count = length * configuration.hiddenSize
        let windows = tokens.count / length
        let inputs = AlignedBuffer<Float>(count: windows * layers * count)
        let loss = lossHead()
        func run(_ window: Int, from first: Int) {
            for layer in first..<layers {
                let slot = pass.activations.layers[layer]
                if layer > first { slot.input.update(from: pass.activations.output, count: count) }
                pass.decode(layer: layer, into: pass.activations.output)
            }
            pass.finish()
        }
        forEachWindow { window, tokens in
            pass.embed(tokens, into: pass.activations.layers[0].input)
            for layer in 0..<layers {
                let slot = pass.activations.layers[layer]
                if layer > 0 { slot.input.update(from: pass.activations.output, count: count) }
                (inputs.pointer + (window * layers + layer) * count)
                    .update(from: slot.input, count: count)
                pass.decode(layer: layer, into: pass.activations.output)
            }
        }
        for (index, variant) in variants.enumerated() {
            try variant.change()
            var total = LossSum()
            for window in 0..<windows {
                let start = inputs.pointer + (window * layers + variant.layer) * count
                pass.activations.layers[variant.layer].input.update(from: start, count: count)
                run(window, from: variant.layer)
                total.add(divergence(window, of: pass, head: weights.effectiveHead(), loss))
            }
            variant.undo()
            let result = DivergenceResult(
                klDivergence: total.loss / Double(tokens.count),
                tokenCount: tokens.count
            )
            try body(index, result)
        }
    }

    /// A pass over one window, whose layers share a slot.
    private func singleWindowPass(_ weights: LayerWeights) -> DecoderPass {
        DecoderPass(window: length, weights: weights, team: team)
    }

    private func lossHead() -> LossHead {
        LossHead(
            configuration: configuration,
            teacher: configuration,
            chunkRows: min(64, length),
            team: team
        )
    }

    private func divergence(
        _ window: Int,
        of pass: DecoderPass,
        head changedHead: UnsafePointer<Float>,
        _ loss: LossHead
    ) -> LossSum {
        loss.distillation(
            LossHead.Input(hidden: pass.activations.finalNorm, head: changedHead),
            teacher: LossHead.Input(
                hidden: hidden.pointer + window * length * configuration.hiddenSize,
                head: head.pointer
            ),
            rows: length,
            temperature: 1,
            gradientScale: 0,
            gradient: nil
        )
    }

    private func forEachWindow(_ body: (Int, UnsafePointer<Int32>) throws -> Void) rethrows {
        try tokens.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            for window in 0..<tokens.count / length { try body(window, start + window * length) }
        }
    }
}
