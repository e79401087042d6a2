public import Formats
public import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A model's loss on a text.
public struct PerplexityResult: Sendable, Codable, Equatable {
    /// `exp(meanLoss)`.
    public var perplexity: Double
    /// 95 % confidence interval of the perplexity over windows: `exp(mean ± t · s / √n)` with
    /// Student's t.
    ///
    /// With one window there is no spread to measure, and both ends are the value.
    public var confidenceInterval: [Double]
    /// Mean cross-entropy per target, in nats.
    public var meanLoss: Double
    /// Share of targets that the model's most likely token hits.
    public var accuracy: Double
    /// Windows evaluated.
    public var windowCount: Int
    /// Targets evaluated.
    public var targetCount: Int
}

/// Evaluates a decoder on non-overlapping windows from a text's start.
///
/// Not for concurrent use.
public final class PerplexityEvaluator {
    private let weights: LayerWeights
    private let pass: DecoderPass
    private let head: LossHead
    private let targets: AlignedBuffer<Int32>
    private let length: Int

    /// Prepares evaluation of `parameters` under a recipe; ``QuantizationRecipe/none`` takes the
    /// weights as they are.
    ///
    /// - Throws: ``TransformerError``.
    public init(
        parameters: Parameters,
        recipe: QuantizationRecipe,
        length: Int,
        team: ThreadTeam
    ) throws {
        self.length = length
        weights = try LayerWeights(parameters: parameters, recipe: recipe, team: team)
        pass = DecoderPass(window: length, weights: weights, team: team)
        head = LossHead(
            configuration: parameters.configuration,
            teacher: nil,
            chunkRows: min(128, length),
            team: team
        )
        targets = AlignedBuffer(count: length)
    }

    /// Evaluates the first `windows` windows, or fewer where the text ends.
    ///
    /// `progress`: Picks the recipe's stage; 1 is the final one. `onWindow`: Called after each
    /// window with how many are done; throwing stops.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if the text is shorter than a window.
    public func evaluate(
        tokens: [Int32],
        windows: Int,
        progress: Double = 1,
        onWindow: (Int) throws -> Void = { _ in }
    ) throws -> PerplexityResult {
        let count = min(windows, tokens.count / length)
        guard count > 0, length > 1 else {
            throw TransformerError(
                .invalidTokens,
                "the text has \(tokens.count) tokens; one window takes \(length)"
            )
        }
        let limit = Int32(pass.configuration.vocabularySize)
        guard tokens.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(.invalidTokens, "a token is outside the vocabulary of \(limit)")
        }
        weights.setProgress(progress)
        var losses: [Double] = []
        var total = LossSum()
        for window in 0..<count {
            let sum = tokens.withUnsafeBufferPointer { buffer -> LossSum in
                guard let start = buffer.baseAddress else {
                    return LossSum()
                }
                return evaluateWindow(start + window * length)
            }
            losses.append(sum.loss / Double(length - 1))
            total.add(sum)
            try onWindow(window + 1)
        }
        return Self.summary(losses: losses, total: total)
    }

    private func evaluateWindow(_ tokens: UnsafePointer<Int32>) -> LossSum {
        for row in 0..<length {
            targets.pointer[row] = row == length - 1 ? -1 : tokens[row + 1]
        }
        pass.forward(tokens)
        return head.crossEntropy(
            LossHead.Input(
                hidden: pass.activations.finalNorm,
                head: weights.effectiveHead()
            ),
            targets: targets.pointer,
            rows: length,
            gradientScale: 0,
            gradient: nil
        )
    }

    private static func summary(losses: [Double], total: LossSum) -> PerplexityResult {
        let n = Double(losses.count)
        let mean = losses.reduce(0, +) / n
        let variance = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(n - 1, 1)
        let margin = losses.count > 1 ? studentT(losses.count - 1) * (variance / n).squareRoot() : 0
        return PerplexityResult(
            perplexity: exp(mean),
            confidenceInterval: [exp(mean - margin), exp(mean + margin)],
            meanLoss: mean,
            accuracy: Double(total.correct) / Double(max(total.rows, 1)),
            windowCount: losses.count,
            targetCount: total.rows
        )
    }

    /// The 97.5 % quantile of Student's t; beyond the table, its Cornish-Fisher expansion.
    private static func studentT(_ degrees: Int) -> Double {
        let table = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
        if degrees <= table.count {
            return table[degrees - 1]
        }
        let z = 1.959964
        let d = Double(degrees)
        return z + (z * z * z + z) / (4 * d)
            + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * d * d)
    }
}
