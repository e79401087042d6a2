public import Devices
public import Formats
public import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A model's loss on a text.
public struct PerplexityResult: Sendable, Codable, Equatable {
    /// `exp(meanLoss)`; at least 1.
    public var perplexity: Double
    /// 95 % confidence interval of the perplexity over windows, each of which counts by its targets, with
    /// Student's t; nil of one window, which has no spread to measure.
    public var confidenceInterval: [Double]?
    /// Mean cross-entropy per target, in nats; 0 or more.
    public var meanLoss: Double
    /// Share of targets that the model's most likely token hits, in 0 … 1.
    public var accuracy: Double
    /// 95 % confidence interval of the accuracy over windows, likewise, within 0 … 1.
    public var accuracyInterval: [Double]?
    /// Windows evaluated.
    public var windowCount: Int
    /// Targets evaluated: `length - 1` per window, less those that documents' rules and marks leave out.
    public var targetCount: Int
}

/// Evaluates a decoder on non-overlapping windows from a text's start.
///
/// Not for concurrent use.
public final class PerplexityEvaluator {
    private let weights: LayerWeights
    private let pass: DecoderPass
    private let head: LossHead
    private let targets: NextTokenTargets
    private let length: Int

    /// Prepares evaluation of `parameters` under a recipe; ``QuantizationRecipe/none`` takes the
    /// weights as they are.
    ///
    /// `activations`: How inputs, keys and values are rounded; nil for what training simulates of the
    /// recipe. `length`: Tokens per window, at least 2. `documents`: What begins anew within a window where
    /// a document ends; nil for nothing.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if formats or activations do not fit the model.
    public init(
        parameters: Parameters,
        recipe: QuantizationRecipe,
        activations: ActivationQuantization? = nil,
        length: Int,
        documents: DocumentRules? = nil,
        device: any ComputeDevice
    ) throws {
        self.length = length
        weights = try LayerWeights(
            parameters: parameters,
            recipe: recipe,
            activations: activations,
            device: device
        )
        pass = DecoderPass(window: length, weights: weights, documents: documents)
        head = LossHead(
            configuration: parameters.configuration,
            teacher: nil,
            chunkRows: LossHead.chunkRows(
                rows: length,
                vocabulary: parameters.configuration.vocabularySize
            ),
            device: device
        )
        targets = NextTokenTargets(
            rows: length,
            length: length,
            documents,
            device: device
        )
    }

    /// Evaluates the first `windows` windows, or fewer where the text ends.
    ///
    /// `tokens`: `[windows · length]`, each in the vocabulary; what fills no window is left out.
    /// `progress`: In 0 … 1, picks the recipe's stage; 1 is the final one. `onWindow`: Called after each
    /// window with how many are done; throwing stops.
    ///
    /// - Throws: ``TransformerError``: `invalidTokens` if the text is shorter than a window; `nonFinite`
    ///   if a window's loss is NaN or infinite, naming the layer where that begins.
    public func evaluate(
        tokens: [Int32],
        windows: Int,
        progress: Double = 1,
        onWindow: (Int) throws -> Void = { _ in }
    ) throws -> PerplexityResult {
        guard tokens.allSatisfy(isKnown) else { throw unknownToken }
        return try evaluate(
            tokens as any TokenText,
            windows: windows,
            progress: progress,
            onWindow: onWindow
        )
    }

    /// The same of a text that is read window by window, and checked as it is.
    ///
    /// - Throws: Likewise; what reading throws.
    public func evaluate(
        _ text: any TokenText,
        windows: Int,
        progress: Double = 1,
        onWindow: (Int) throws -> Void = { _ in }
    ) throws -> PerplexityResult {
        PerplexityResult(
            try sums(text, windows: windows, progress: progress, onWindow: onWindow)
        )
    }

    /// What each window with targets comes to, at least one, in the text's order.
    ///
    /// - Throws: As ``evaluate(_:windows:progress:onWindow:)``.
    public func sums(
        _ text: any TokenText,
        windows: Int,
        progress: Double = 1,
        onWindow: (Int) throws -> Void = { _ in }
    ) throws -> [LossSum] {
        let count = min(windows, text.count / length)
        guard count > 0, length > 1 else {
            throw TransformerError(
                .invalidTokens,
                "the text has \(text.count) tokens; one window takes \(length)"
            )
        }
        weights.setProgress(progress)
        let tokens = AlignedBuffer<Int32>(count: length)
        var sums: [LossSum] = []
        for window in 0..<count {
            try text.copy(window * length..<(window + 1) * length, to: tokens.pointer)
            guard tokens.elements.allSatisfy(isKnown) else { throw unknownToken }
            let sum = evaluateWindow(tokens.pointer)
            guard sum.loss.isFinite else {
                let what = "the loss of window \(window + 1) of \(count)"
                throw pass.nonFiniteError(what, tokens: tokens.pointer, rows: length)
            }
            sums.append(sum)
            try onWindow(window + 1)
        }
        // A window of silent tokens asks for nothing.
        sums.removeAll { $0.rows == 0 }
        guard !sums.isEmpty else {
            let which = count == 1 ? "its first window" : "its first \(count) windows"
            throw TransformerError(
                .invalidTokens,
                "no token of \(which) of \(length) tokens counts in the loss"
            )
        }
        return sums
    }

    private func isKnown(_ token: Int32) -> Bool {
        token >= 0 && Int(MarkedToken.token(token)) < pass.configuration.vocabularySize
    }

    private var unknownToken: TransformerError {
        let size = pass.configuration.vocabularySize
        return TransformerError(.invalidTokens, "a token is outside the vocabulary of \(size)")
    }

    private func evaluateWindow(_ tokens: UnsafePointer<Int32>) -> LossSum {
        targets.set(tokens)
        pass.forward(tokens)
        return head.crossEntropy(
            LossHead.Input(hidden: pass.finalNorm, head: weights.headOperand()),
            targets: targets.tensor,
            gradientScale: 0,
            gradient: nil
        )
    }
}

extension PerplexityResult {
    /// What windows come to together, at least one.
    public init(_ windows: [LossSum]) {
        let losses = RatioEstimate(windows.map { ($0.loss, $0.rows) })
        let hits = RatioEstimate(windows.map { (Double($0.correct), $0.rows) })
        self.init(
            perplexity: exp(losses.ratio),
            confidenceInterval: losses.interval?.map(exp),
            meanLoss: losses.ratio,
            accuracy: hits.ratio,
            accuracyInterval: hits.interval?.map { min(max($0, 0), 1) },
            windowCount: windows.count,
            targetCount: windows.reduce(0) { $0 + $1.rows }
        )
    }
}

/// What some windows' sums come to per target, and how sure it is: a window counts by its targets, of which
/// masks leave some windows more than others.
///
/// The interval is that of a ratio of sums (linearized; Cochran 1977, Sampling Techniques, 6.3), with Student's
/// t; where all windows have as many targets, that of the mean of the windows' means.
struct RatioEstimate {
    let ratio: Double
    /// 95 % confidence interval; nil of one window.
    let interval: [Double]?

    /// Of windows' sums and targets, at least one of each.
    init(_ windows: [(sum: Double, targets: Int)]) {
        let n = Double(windows.count)
        let targets = Double(windows.reduce(0) { $0 + $1.targets })
        let ratio = windows.reduce(0) { $0 + $1.sum } / targets
        self.ratio = ratio
        guard windows.count > 1 else {
            interval = nil
            return
        }
        let squares = windows.reduce(0) { sum, window in
            let residual = window.sum - ratio * Double(window.targets)
            return sum + residual * residual
        }
        let error = (n / (n - 1) * squares).squareRoot() / targets
        let margin = StudentT.quantile975(windows.count - 1) * error
        interval = [ratio - margin, ratio + margin]
    }
}
