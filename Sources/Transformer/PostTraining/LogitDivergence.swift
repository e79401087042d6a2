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
    private let original: LayerResidence
    /// The original's normalized hidden states, `[tokens, hidden]`.
    private let hidden: DeviceTensor
    /// Its head, `[vocabulary, hidden]`; nil where it can be read again.
    private let head: DeviceTensor?

    /// Runs the original on whole windows of `length` tokens, at least 2; tokens that fill no window are
    /// left out.
    ///
    /// Holds `[tokens, hidden]` and `[vocabulary, hidden]` floats.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if no window is filled or a token is not in the
    ///   vocabulary.
    public convenience init(
        original: Parameters,
        tokens: some Collection<Int32>,
        length: Int,
        device: any ComputeDevice
    ) throws {
        let whole = LayerResidence(whole: original)
        try self.init(original: whole, tokens: tokens, length: length, device: device)
    }

    /// The same of a model that may be in memory in parts; then the head is not held.
    ///
    /// - Throws: As before, and what reading throws.
    public init(
        original: LayerResidence,
        tokens: some Collection<Int32>,
        length: Int,
        device: any ComputeDevice
    ) throws {
        configuration = original.parameters.configuration
        let windows = length > 1 ? tokens.count / length : 0
        let limit = Int32(configuration.vocabularySize)
        guard windows > 0, tokens.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(
                .invalidTokens,
                "\(tokens.count) tokens hold no window of \(length), or some are out of range"
            )
        }
        self.tokens = Array(tokens.prefix(windows * length))
        self.length = length
        self.device = device
        self.original = original
        head = original.isWhole ? try Self.head(of: original, device) : nil
        let pass = try Self.run(
            original,
            CalibrationWindows(tokens: self.tokens, length: length),
            activations: .none,
            device
        )
        hidden = pass.hidden
    }

    /// A copy of the head that a model came with.
    private static func head(
        of model: LayerResidence,
        _ device: any ComputeDevice
    ) throws -> DeviceTensor {
        let entry = model.parameters.layout.head
        let room = AlignedBuffer<Float>(count: entry.count)
        try model.readOriginal(entry, into: room.elements)
        return DeviceTensor(device.adopt(room), rows: entry.rows, columns: entry.columns)
    }

    /// Runs windows through a model, layer by layer, to the normalized end.
    private static func run(
        _ model: LayerResidence,
        _ windows: CalibrationWindows,
        activations: ActivationQuantization,
        _ device: any ComputeDevice
    ) throws -> LayerwisePass {
        let parameters = model.parameters
        let pass = try model.with(parameters.layout.embedding) { _ in
            try LayerwisePass(
                parameters: parameters,
                windows: windows,
                activations: activations,
                device: device
            )
        }
        for layer in 0..<parameters.configuration.layerCount {
            try model.with(layer: layer) { try pass.advance(layer: layer) }
        }
        pass.finish()
        return pass
    }

    /// The original's hidden states of a window.
    private func rows(of window: Int) -> Range<Int> { window * length..<(window + 1) * length }

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
        try measure(LayerResidence(whole: changed), activations: activations)
    }

    /// The same of a model that may be in memory in parts.
    ///
    /// - Throws: As before, and what reading throws.
    public func measure(
        _ changed: LayerResidence,
        activations: ActivationQuantization = .none
    ) throws -> DivergenceResult {
        let pass = try Self.run(
            changed,
            CalibrationWindows(tokens: tokens, length: length),
            activations: activations,
            device
        )
        let own = try head ?? Self.head(of: original, device)
        let entry = changed.parameters.layout.head
        // Read again, it would be the same.
        guard changed !== original || changed.isWhole || changed.isChanged(entry) else {
            return try compare(pass, head: .tensor(own), with: own)
        }
        return try changed.with(entry) { _ in
            let weights = try LayerWeights(
                parameters: changed.parameters,
                recipe: .none,
                device: device
            )
            return try compare(pass, head: weights.headOperand(), with: own)
        }
    }

    /// Compares what a pass came to under a head with the original.
    private func compare(
        _ pass: LayerwisePass,
        head changed: WeightOperand,
        with own: DeviceTensor
    ) throws -> DivergenceResult {
        let loss = lossHead()
        var total = LossSum()
        for window in 0..<tokens.count / length {
            let states = pass.hidden.rows(rows(of: window))
            let sum = divergence(window, states, head: changed, from: own, loss)
            guard sum.loss.isFinite else {
                let what = "the divergence from the original on window \(window + 1)"
                throw pass.nonFiniteError(what, window: window)
            }
            total.add(sum)
        }
        return DivergenceResult(
            klDivergence: total.loss / Double(tokens.count),
            tokenCount: tokens.count
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
        let own = try head ?? Self.head(of: original, device)
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
                let head = weights.headOperand()
                total.add(divergence(window, pass.finalNorm, head: head, from: own, loss))
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
        _ states: DeviceTensor,
        head changedHead: WeightOperand,
        from own: DeviceTensor,
        _ loss: LossHead
    ) -> LossSum {
        let teacher = LossHead.Input(hidden: hidden.rows(rows(of: window)), head: .tensor(own))
        return loss.distillation(
            LossHead.Input(hidden: states, head: changedHead),
            teacher: .hidden(teacher),
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
