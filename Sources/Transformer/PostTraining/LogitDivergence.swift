public import Devices
internal import Formats
internal import Kernels

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
    private let device: any ComputeDevice
    private let configuration: ModelConfiguration
    /// The original's normalized hidden states, `[tokens, hidden]`.
    private let hidden: DeviceTensor
    /// Its head, `[vocabulary, hidden]`.
    private let head: DeviceTensor

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
        device: any ComputeDevice
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
        self.device = device
        configuration = original.configuration
        hidden = device.tensor(rows: windows * length, columns: configuration.hiddenSize)
        let weights = try LayerWeights(parameters: original, recipe: .none, device: device)
        let original = weights.effectiveHead()
        head = device.tensor(rows: original.rows, columns: original.columns)
        device.copy(original, to: head)
        let pass = DecoderPass(window: length, weights: weights)
        forEachWindow { window, tokens in
            pass.forward(tokens)
            device.copy(pass.finalNorm, to: rows(of: window))
        }
    }

    /// The original's hidden states of a window.
    private func rows(of window: Int) -> DeviceTensor {
        hidden.rows(window * length..<(window + 1) * length)
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
            device: device
        )
        let pass = DecoderPass(window: length, weights: weights)
        let loss = lossHead()
        var total = LossSum()
        try forEachWindow { window, tokens in
            pass.forward(tokens)
            let sum = divergence(window, of: pass, head: weights.headOperand(), loss)
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
        let weights = try LayerWeights(parameters: parameters, recipe: .none, device: device)
        let layers = configuration.layerCount
        let pass = DecoderPass(window: length, weights: weights)
        let windows = tokens.count / length
        // Each layer's input on each window.
        let inputs = device.tensor(
            rows: windows * layers * length,
            columns: configuration.hiddenSize
        )
        func input(_ window: Int, _ layer: Int) -> DeviceTensor {
            let first = (window * layers + layer) * length
            return inputs.rows(first..<first + length)
        }
        let loss = lossHead()
        forEachWindow { window, tokens in
            pass.embed(tokens, into: pass.layer(0).input)
            for layer in 0..<layers {
                let slot = pass.layer(layer)
                if layer > 0 { device.copy(pass.output, to: slot.input) }
                device.copy(slot.input, to: input(window, layer))
                pass.decode(layer: layer, into: pass.output)
            }
        }
        for (index, variant) in variants.enumerated() {
            try variant.change()
            weights.refresh()
            var total = LossSum()
            for window in 0..<windows {
                device.copy(
                    input(window, variant.layer),
                    to: pass.layer(variant.layer).input
                )
                for layer in variant.layer..<layers {
                    if layer > variant.layer {
                        device.copy(pass.output, to: pass.layer(layer).input)
                    }
                    pass.decode(layer: layer, into: pass.output)
                }
                pass.finish()
                total.add(divergence(window, of: pass, head: weights.headOperand(), loss))
            }
            variant.undo()
            let result = DivergenceResult(
                klDivergence: total.loss / Double(tokens.count),
                tokenCount: tokens.count
            )
            try body(index, result)
        }
    }

    private func lossHead() -> LossHead {
        LossHead(
            configuration: configuration,
            teacher: configuration,
            chunkRows: min(64, length),
            device: device
        )
    }

    private func divergence(
        _ window: Int,
        of pass: DecoderPass,
        head changedHead: WeightOperand,
        _ loss: LossHead
    ) -> LossSum {
        loss.distillation(
            LossHead.Input(hidden: pass.finalNorm, head: changedHead),
            teacher: .hidden(LossHead.Input(hidden: rows(of: window), head: .tensor(head))),
            gradient: nil
        ).main
    }

    private func forEachWindow(_ body: (Int, UnsafePointer<Int32>) throws -> Void) rethrows {
        try tokens.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            for window in 0..<tokens.count / length { try body(window, start + window * length) }
        }
    }
}
