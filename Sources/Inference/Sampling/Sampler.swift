internal import Kernels
internal import Transformer

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Draws the tokens of one text.
///
/// A draw depends on the logits, on the text so far and on its place in the text: not on what was drawn
/// for others, or on whether the text was computed anew in between.
struct Sampler {
    private let parameters: SamplingParameters
    private let seed: UInt64
    /// How many likely tokens are told with each, beside its own likelihood; nil for nothing.
    private let alternativeCount: Int?
    private let promptTokens: Set<Int32>
    /// How often the text so far has each token.
    private var counts: [Int32: Int] = [:]
    private var drawn = 0

    /// For a text behind `prompt`.
    ///
    /// `alternativeCount`: nil where nobody asks for likelihoods.
    init(_ parameters: SamplingParameters, prompt: [Int32], alternativeCount: Int?) {
        self.parameters = parameters
        self.alternativeCount = alternativeCount
        seed = parameters.seed ?? .random(in: .min ... .max)
        promptTokens = parameters.repetitionPenalty == 1 ? [] : Set(prompt)
    }

    /// Draws the next token from logits, which are overwritten; nil if one is NaN or infinite.
    mutating func draw(
        _ logits: UnsafeMutableBufferPointer<Float>,
        _ work: SamplingWork
    ) -> SampledToken? {
        guard let start = logits.baseAddress,
            QuantizeKernels.amax(start, count: logits.count).isFinite
        else { return nil }
        let likelihoods = alternativeCount.map { _ in Likelihoods(logits, work) }
        let alternatives = likelihoods?.most(alternativeCount ?? 0) ?? []
        adjust(logits)
        let token = Int32(
            parameters.temperature > 0
                ? pick(of: logits) : Self.mostLikely(UnsafeBufferPointer(logits))
        )
        counts[token, default: 0] += 1
        drawn += 1
        return SampledToken(
            token: token,
            logProbability: likelihoods?.of(token).logProbability,
            alternatives: alternatives
        )
    }

    func adjust(_ logits: UnsafeMutableBufferPointer<Float>) {
        for (token, bias) in parameters.logitBias { logits[Int(token)] += bias }
        if parameters.repetitionPenalty != 1 {
            let penalty = Float(parameters.repetitionPenalty)
            for token in promptTokens.union(counts.keys) {
                let logit = logits[Int(token)]
                logits[Int(token)] = logit < 0 ? logit * penalty : logit / penalty
            }
        }
        guard parameters.presencePenalty != 0 || parameters.frequencyPenalty != 0 else { return }
        for (token, count) in counts {
            logits[Int(token)] -=
                Float(parameters.presencePenalty + Double(count) * parameters.frequencyPenalty)
        }
    }

    /// Turns adjusted logits into what tokens are drawn by: probabilities, 0 of those left out; what is
    /// left is not scaled to add up to 1.
    ///
    /// Returns the sum.
    func weigh(_ logits: UnsafeMutableBufferPointer<Float>) -> Double {
        guard let start = logits.baseAddress else { return 0 }
        DecoderKernels.softmax(
            start,
            count: logits.count,
            scale: Float(1 / parameters.temperature)
        )
        let selection = TokenSelection(UnsafeBufferPointer(logits), parameters)
        var total = 0.0
        for token in logits.indices {
            if selection.contains(token, logits[token]) {
                total += Double(logits[token])
            } else {
                logits[token] = 0
            }
        }
        return total
    }

    private func pick(of logits: UnsafeMutableBufferPointer<Float>) -> Int {
        var left = weigh(logits)
        // By place and not by turn, so that a text that is computed anew goes on as it did.
        var random = SplitMix64(seed: seed &+ UInt64(drawn) &* 0xD129_0B26_88CF_0D4B)
        left *= random.uniform()
        var last = 0
        for (token, probability) in logits.enumerated() where probability > 0 {
            left -= Double(probability)
            last = token
            if left < 0 { break }
        }
        return last
    }

    /// The first of the largest.
    static func mostLikely(_ logits: UnsafeBufferPointer<Float>) -> Int {
        var best = 0
        var most = logits[0]
        for index in 1..<logits.count where logits[index] > most {
            best = index
            most = logits[index]
        }
        return best
    }
}

/// Memory of draws, one after the other.
final class SamplingWork {
    let values: UnsafeMutableBufferPointer<Float>

    init(vocabularySize: Int) { values = .allocate(capacity: vocabularySize) }

    deinit { values.deallocate() }
}

/// What a model says of each token that may follow, before anything is done to it.
private struct Likelihoods {
    private let logits: UnsafeBufferPointer<Float>
    /// The logarithm of the sum of all logits' exponentials.
    private let logSum: Float

    /// `work` keeps the logits as they are now.
    init(_ given: UnsafeMutableBufferPointer<Float>, _ work: SamplingWork) {
        let copy = work.values
        logits = UnsafeBufferPointer(copy)
        let most = given[Sampler.mostLikely(UnsafeBufferPointer(given))]
        _ = copy.update(fromContentsOf: given)
        // The largest probability says what all exponentials add up to.
        if let start = copy.baseAddress {
            DecoderKernels.softmax(start, count: copy.count, scale: 1)
        }
        let top = copy[Sampler.mostLikely(logits)]
        logSum = most - log(top)
        _ = copy.update(fromContentsOf: given)
    }

    func of(_ token: Int32) -> SampledToken.Likelihood {
        .init(token: token, logProbability: min(logits[Int(token)] - logSum, 0))
    }

    /// The most likely tokens, by insertion into a short list.
    func most(_ count: Int) -> [SampledToken.Likelihood] {
        guard count > 0 else { return [] }
        var found: [(token: Int, logit: Float)] = []
        for (token, logit) in logits.enumerated()
        where found.count < count || logit > found[found.count - 1].logit {
            let place = found.firstIndex { $0.logit < logit } ?? found.count
            found.insert((token, logit), at: place)
            if found.count > count { found.removeLast() }
        }
        return found.map { of(Int32($0.token)) }
    }
}
