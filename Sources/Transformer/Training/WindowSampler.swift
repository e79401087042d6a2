/// Draws training windows at random; which ones depends on the seed and the step only, so a resumed
/// run sees what an uninterrupted one would.
public struct WindowSampler: Sendable {
    private let seed: UInt64
    private let tokenCount: Int
    private let length: Int

    /// A sampler over a text of `tokenCount` tokens, of windows of `length`, at least 2.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if the text is shorter than a window.
    public init(seed: UInt64, tokenCount: Int, length: Int) throws(TransformerError) {
        guard length > 1, tokenCount >= length else {
            throw TransformerError(
                .invalidTokens,
                "the text has \(tokenCount) tokens; one window takes \(max(length, 2))"
            )
        }
        self.seed = seed
        self.tokenCount = tokenCount
        self.length = length
    }

    /// Copies `count` windows of `tokens` into `batch`, `[count, length]` row-major.
    public func fill(
        _ batch: UnsafeMutablePointer<Int32>,
        count: Int,
        step: Int,
        from tokens: UnsafeBufferPointer<Int32>
    ) {
        precondition(tokens.count == tokenCount, "fill: another text")
        guard let source = tokens.baseAddress else {
            return
        }
        var generator = SplitMix64(seed: seed ^ (UInt64(step) &* 0xD134_2543_DE82_EF95))
        for index in 0..<count {
            let start = generator.below(tokenCount - length + 1)
            (batch + index * length).update(from: source + start, count: length)
        }
    }
}
