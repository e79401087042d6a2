/// Which tokens are drawn from, of probabilities: found by counting, without sorting a vocabulary.
struct TokenSelection {
    /// The least probability that stays.
    private var threshold: Float = 0
    /// The nucleus's least probability, and the last token that has it and stays.
    private var nucleus: (probability: Float, lastToken: Int)?

    /// Whether a token stays.
    func contains(_ token: Int, _ probability: Float) -> Bool {
        guard probability >= threshold else { return false }
        guard let nucleus else { return true }
        return probability > nucleus.probability
            || probability == nucleus.probability && token <= nucleus.lastToken
    }

    /// Leaves out of `probabilities` what parameters leave out; at least one token stays.
    init(_ probabilities: UnsafeBufferPointer<Float>, _ parameters: SamplingParameters) {
        let limitsCount = parameters.topK > 0 && parameters.topK < probabilities.count
        guard limitsCount || parameters.topP < 1 || parameters.minP > 0 else { return }
        let histogram = ProbabilityHistogram(probabilities)
        if limitsCount { threshold = histogram.value(ofRank: parameters.topK, in: probabilities) }
        if parameters.topP < 1 {
            nucleus = histogram.nucleus(
                share: parameters.topP,
                threshold: threshold,
                in: probabilities
            )
        }
        if parameters.minP > 0 {
            let most = probabilities.max() ?? 0
            threshold = max(threshold, Float(parameters.minP) * most)
        }
    }
}

/// How many probabilities there are of each size, and what they add up to: sizes are told apart by the
/// exponent and the first three bits behind it, which are the first bits of a float's pattern.
struct ProbabilityHistogram {
    /// Probabilities are at most 1, whose pattern begins with this.
    private static let binCount = Int(Float(1).bitPattern >> shift) + 2
    private static let shift: UInt32 = 20

    private var counts = [Int](repeating: 0, count: binCount)
    private var sums = [Double](repeating: 0, count: binCount)

    /// Of probabilities, each from 0 to 1 but for rounding.
    init(_ probabilities: UnsafeBufferPointer<Float>) {
        counts.withUnsafeMutableBufferPointer { counts in
            sums.withUnsafeMutableBufferPointer { sums in
                for probability in probabilities {
                    let bin = Self.bin(probability)
                    counts[bin] += 1
                    sums[bin] += Double(probability)
                }
            }
        }
    }

    private static func bin(_ probability: Float) -> Int {
        min(Int(probability.bitPattern >> shift), binCount - 1)
    }

    /// The tokens of a bin, most likely first, those as likely by number.
    private func tokens(
        in bin: Int,
        _ probabilities: UnsafeBufferPointer<Float>
    ) -> [(token: Int, probability: Float)] {
        var found: [(token: Int, probability: Float)] = []
        found.reserveCapacity(counts[bin])
        for (token, probability) in probabilities.enumerated() where Self.bin(probability) == bin {
            found.append((token, probability))
        }
        return found.sorted {
            $0.probability > $1.probability
                || $0.probability == $1.probability && $0.token < $1.token
        }
    }

    /// The probability that so many tokens reach, counted from 1.
    func value(ofRank rank: Int, in probabilities: UnsafeBufferPointer<Float>) -> Float {
        var left = rank
        for bin in counts.indices.reversed() where counts[bin] > 0 {
            if counts[bin] >= left { return tokens(in: bin, probabilities)[left - 1].probability }
            left -= counts[bin]
        }
        return 0
    }

    /// The last token of the smallest set of the most likely that has `share` of what tokens of at least
    /// `threshold` have together.
    func nucleus(
        share: Double,
        threshold: Float,
        in probabilities: UnsafeBufferPointer<Float>
    ) -> (probability: Float, lastToken: Int)? {
        let lowest = Self.bin(threshold)
        let border = tokens(in: lowest, probabilities).filter { $0.probability >= threshold }
        var total = border.reduce(0) { $0 + Double($1.probability) }
        for bin in counts.indices where bin > lowest { total += sums[bin] }
        var left = share * total
        for bin in counts.indices.reversed() where counts[bin] > 0 && bin >= lowest {
            if bin > lowest, sums[bin] < left {
                left -= sums[bin]
                continue
            }
            for (token, probability) in bin == lowest ? border : tokens(in: bin, probabilities) {
                left -= Double(probability)
                if left <= 0 { return (probability, token) }
            }
        }
        // Rounding left a little: all that reach the threshold stay.
        return nil
    }
}
