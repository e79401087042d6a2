/// Draws training windows; which ones depends on the seed and the step only, so a resumed run sees what
/// an uninterrupted one would.
public struct WindowSampler: Sendable {
    /// Which windows there are, and in which order.
    public enum Order: Sendable {
        /// Any offset, each as likely as another, whatever was drawn before.
        case random
        /// Windows end to end from the text's beginning, each once an epoch, in another order each time.
        case epoch
    }

    private let seed: UInt64
    private let tokenCount: Int
    private let length: Int
    private let order: Order

    /// A sampler over a text of `tokenCount` tokens, of windows of `length`, at least 2.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if the text is shorter than a window.
    public init(
        seed: UInt64,
        tokenCount: Int,
        length: Int,
        order: Order = .random
    ) throws(TransformerError) {
        guard length > 1, tokenCount >= length else {
            throw TransformerError(
                .invalidTokens,
                "the text has \(tokenCount) tokens; one window takes \(max(length, 2))"
            )
        }
        self.seed = seed
        self.tokenCount = tokenCount
        self.length = length
        self.order = order
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
            let start =
                switch order {
                case .random: generator.below(tokenCount - length + 1)
                case .epoch: length * window(number: step * count + index)
                }
            (batch + index * length).update(from: source + start, count: length)
        }
    }

    /// The window that comes so many windows after the run's first.
    private func window(number: Int) -> Int {
        let windows = tokenCount / length
        let (epoch, place) = number.quotientAndRemainder(dividingBy: windows)
        return WindowOrder(count: windows, seed: seed, epoch: epoch)[place]
    }
}

/// A permutation of windows that takes no memory: a Feistel network over the next even number of bits,
/// walked on until it lands among them (Black and Rogaway 2002, "cycle walking").
private struct WindowOrder {
    private let count: Int
    private let halfBits: UInt64
    private let key: UInt64

    init(count: Int, seed: UInt64, epoch: Int) {
        self.count = count
        let bits = UInt64(Int.bitWidth - max(count - 1, 1).leadingZeroBitCount)
        halfBits = (bits + 1) / 2
        var generator = SplitMix64(seed: seed ^ (UInt64(epoch) &* 0x9FB2_1C65_1E98_DF25))
        key = generator.next()
    }

    subscript(place: Int) -> Int {
        var found = UInt64(place)
        repeat { found = mixed(found) } while found >= UInt64(count)
        return Int(found)
    }

    private func mixed(_ value: UInt64) -> UInt64 {
        let mask = (UInt64(1) << halfBits) - 1
        var (left, right) = (value >> halfBits, value & mask)
        for round in UInt64(0)..<4 {
            var generator = SplitMix64(seed: key ^ (right &* 0xC2B2_AE3D_27D4_EB4F) &+ round)
            (left, right) = (right, left ^ (generator.next() & mask))
        }
        return left << halfBits | right
    }
}
