internal import Devices
internal import Formats

/// Tokens to calibrate on, cut into windows.
public struct CalibrationWindows: Sendable {
    /// The tokens, `[count, length]` row-major.
    public let tokens: [Int32]
    /// Tokens per window; at least 1.
    public let length: Int

    /// The number of windows.
    public var count: Int { tokens.count / length }

    /// At most `limit` windows of several texts, drawn without repetition by a seed, in the texts'
    /// order.
    ///
    /// Each text gives in proportion to its length, but at least one window if it has one.
    /// `cap`: Windows considered at most, likewise drawn; a corpus beyond it is thinned out first.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if no text is as long as a window; what reading
    ///   throws.
    public init(
        texts: [any TokenText],
        length: Int,
        limit: Int,
        cap: Int = 10_000,
        seed: UInt64
    ) throws {
        let available = texts.map { length > 0 ? $0.count / length : 0 }
        let total = available.reduce(0, +)
        let wanted = min(limit, cap, total)
        guard wanted > 0 else {
            throw TransformerError(
                .invalidTokens,
                """
                the calibration texts have \(texts.map(\.count)) tokens; one window takes \
                \(length)
                """
            )
        }
        var generator = SplitMix64(seed: seed)
        var tokens = [Int32](repeating: 0, count: wanted * length)
        var done = 0
        for (text, quota) in zip(texts, Self.quotas(available, wanted: wanted)) {
            let chosen = Self.draw(quota, of: text.count / length, using: &generator)
            try tokens.withUnsafeMutableBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                for window in chosen {
                    try text.copy(
                        window * length..<(window + 1) * length,
                        to: start + done * length
                    )
                    done += 1
                }
            }
        }
        self.tokens = tokens
        self.length = length
    }

    /// Windows one behind the other; tokens that fill none are left out.
    init(tokens: some Collection<Int32>, length: Int) {
        self.tokens = Array(tokens.prefix(tokens.count / length * length))
        self.length = length
    }

    /// Runs a model, as a recipe rounds its weights and inputs in the end, over every window.
    ///
    /// `watch`: Sets what is told of the pass.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`; `invalidTokens` for text of another vocabulary).
    func run(
        _ parameters: Parameters,
        recipe: QuantizationRecipe,
        device: any ComputeDevice,
        watch: (DecoderPass) -> Void
    ) throws {
        try requireVocabulary(of: parameters.configuration)
        let weights = try LayerWeights(parameters: parameters, recipe: recipe, device: device)
        weights.setProgress(1)
        let pass = DecoderPass(window: length, weights: weights)
        watch(pass)
        defer { (pass.onInput, pass.onCache) = (nil, nil) }
        tokens.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            for window in 0..<count { pass.forward(start + window * length) }
        }
    }

    /// - Throws: ``TransformerError`` (`invalidTokens`) for text of another vocabulary.
    func requireVocabulary(of model: ModelConfiguration) throws {
        let limit = Int32(model.vocabularySize)
        guard tokens.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(.invalidTokens, "a token is outside the vocabulary of \(limit)")
        }
    }

    /// The tokens of the first windows, `[windows, length]`, or of all if there are fewer.
    public func prefix(_ windows: Int) -> ArraySlice<Int32> { tokens.prefix(windows * length) }

    /// Shares of `wanted` in proportion to `available`; what rounding leaves goes to the first that
    /// still has some.
    private static func quotas(_ available: [Int], wanted: Int) -> [Int] {
        let total = available.reduce(0, +)
        var quotas = available.map { $0 * wanted / total }
        for index in quotas.indices
        where quotas[index] == 0 && available[index] > 0 && quotas.reduce(0, +) < wanted {
            quotas[index] = 1
        }
        var left = wanted - quotas.reduce(0, +)
        while left > 0 {
            for index in quotas.indices where left > 0 && quotas[index] < available[index] {
                quotas[index] += 1
                left -= 1
            }
        }
        return quotas
    }

    /// Reservoir sampling: a uniform choice of `count` numbers below `total`, ascending.
    private static func draw(
        _ count: Int,
        of total: Int,
        using generator: inout SplitMix64
    ) -> [Int] {
        var chosen = Array(0..<min(count, total))
        for number in chosen.count..<max(total, chosen.count) {
            let place = Int.random(in: 0...number, using: &generator)
            if place < chosen.count { chosen[place] = number }
        }
        return chosen.sorted()
    }
}
