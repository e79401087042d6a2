public import Devices
internal import Formats
internal import Kernels

/// How likely continuations of contexts are under a decoder.
///
/// Contexts that begin alike are computed once: keys and values stay in a cache as far as the next
/// context is the same. Where inputs are rounded under scales that all rows of a pass share, what is
/// computed apart is not the same, and each context runs anew with its continuation. Not for concurrent
/// use.
public final class ContinuationScorer {
    private let pass: DecoderPass
    private let cache: CachedAttention
    private let head: LossHead
    /// What the cache holds.
    private var history: [Int32] = []
    /// Whether it may be reused.
    private let reuses: Bool
    /// The last context's final row, `[1, hidden]`: the first token of every answer follows it.
    private let contextEnd: DeviceTensor
    /// Tokens up to that row; 0 if none is kept.
    private var contextEndCount = 0
    private let targets: DeviceTensor
    private let hostTargets: AlignedBuffer<Int32>

    /// Rows of a pass where the cache is reused.
    private static let chunk = 128

    private var configuration: ModelConfiguration { pass.configuration }

    /// Prepares for contexts and continuations of at most `capacity` tokens together, at least 1.
    ///
    /// `activations`: How inputs, keys and values are rounded.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if activations do not fit the model.
    public init(
        parameters: Parameters,
        activations: ActivationQuantization = .none,
        capacity: Int,
        device: any ComputeDevice
    ) throws {
        let configuration = parameters.configuration
        reuses = !activations.inputs.values.contains {
            $0.format.scaleKind.hasTensorScale && $0.scale == nil
        }
        let rows = reuses ? min(Self.chunk, capacity) : capacity
        cache = CachedAttention(configuration: configuration, capacity: capacity, device: device)
        pass = DecoderPass(
            weights: try LayerWeights(
                parameters: parameters,
                recipe: .none,
                activations: activations,
                device: device
            ),
            attention: cache,
            rows: rows,
            positions: capacity,
            keeping: .none
        )
        head = LossHead(
            configuration: configuration,
            teacher: nil,
            chunkRows: LossHead.chunkRows(rows: rows, vocabulary: configuration.vocabularySize),
            device: device
        )
        contextEnd = device.tensor(columns: configuration.hiddenSize)
        targets = device.tensor(columns: rows, type: .int32)
        hostTargets = AlignedBuffer(count: rows)
    }

    /// The sum of the natural logarithms of the probabilities of a continuation's tokens behind a context.
    ///
    /// `context`, `continuation`: One token at least each, in the vocabulary; together one more than the
    /// capacity at most, since nothing follows the last one.
    ///
    /// - Throws: ``TransformerError``: `invalidTokens` of others; `nonFinite` if the sum is NaN or infinite,
    ///   naming the layer where that begins.
    public func logLikelihood(context: [Int32], continuation: [Int32]) throws -> Double {
        try check(context, continuation)
        let tokens = context + continuation
        let inputs = Array(tokens.dropLast())
        prepare(inputs, contextCount: context.count)
        var loss = 0.0
        if contextEndCount == context.count, history.count >= context.count {
            loss += self.loss(of: contextEnd, [continuation[0]])
        }
        while history.count < inputs.count {
            let rows = history.count..<min(history.count + pass.activations.rows, inputs.count)
            inputs.withUnsafeBufferPointer { buffer in
                if let start = buffer.baseAddress {
                    pass.forward(start + rows.lowerBound, rows: rows.count)
                }
            }
            cache.advance(rows: rows.count)
            history += inputs[rows]
            keepContextEnd(rows, contextCount: context.count)
            let first = max(rows.lowerBound, context.count - 1)
            guard first < rows.upperBound else { continue }
            loss += self.loss(
                of: pass.finalNorm.rows(first - rows.lowerBound..<rows.count),
                tokens[(first + 1)...rows.upperBound]
            )
        }
        guard loss.isFinite else {
            throw pass.nonFiniteError(
                "the log-likelihood of an answer",
                at: firstNonFinite(inputs)
            )
        }
        return -loss
    }

    private func check(_ context: [Int32], _ continuation: [Int32]) throws {
        let limit = Int32(configuration.vocabularySize)
        guard !context.isEmpty, !continuation.isEmpty,
            context.count + continuation.count <= cache.capacity + 1,
            (context + continuation).allSatisfy({ $0 >= 0 && $0 < limit })
        else {
            throw TransformerError(
                .invalidTokens,
                """
                \(context.count) tokens of context and \(continuation.count) behind them do not fit a cache \
                of \(cache.capacity) and a vocabulary of \(limit)
                """
            )
        }
    }

    /// Leaves in the cache what the next tokens begin with, short of the rows that must be computed.
    private func prepare(_ inputs: [Int32], contextCount: Int) {
        let isStale = pass.prepareRotation(length: inputs.count)
        guard reuses, !isStale, configuration.hasFixedRotation else { return forget() }
        let same = zip(history, inputs).prefix { $0 == $1 }.count
        if contextEndCount == contextCount, same >= contextCount {
            rewind(to: contextCount)
        } else {
            rewind(to: min(same, contextCount - 1))
            contextEndCount = 0
        }
    }

    private func forget() {
        rewind(to: 0)
        contextEndCount = 0
    }

    private func rewind(to count: Int) {
        cache.rewind(to: count)
        history.removeSubrange(count...)
    }

    private func keepContextEnd(_ rows: Range<Int>, contextCount: Int) {
        guard reuses, rows.contains(contextCount - 1) else { return }
        let row = contextCount - 1 - rows.lowerBound
        pass.device.copy(pass.finalNorm.rows(row..<row + 1), to: contextEnd)
        contextEndCount = contextCount
    }

    /// The summed cross-entropy of hidden rows against the tokens that follow them, as many.
    private func loss(of hidden: DeviceTensor, _ tokens: some Collection<Int32>) -> Double {
        for (index, token) in tokens.enumerated() { hostTargets.pointer[index] = token }
        let targets = targets.reshaped(rows: targets.count, columns: 1).first(tokens.count)
        pass.device.upload(hostTargets.pointer, to: targets)
        return head.crossEntropy(
            LossHead.Input(hidden: hidden, head: pass.weights.headOperand()),
            targets: targets,
            gradientScale: 0,
            gradient: nil
        ).loss
    }

    /// The first module whose output is not finite; runs all tokens anew.
    private func firstNonFinite(_ inputs: [Int32]) -> String? {
        forget()
        var place: String?
        while place == nil, history.count < inputs.count {
            let rows = history.count..<min(history.count + pass.activations.rows, inputs.count)
            inputs.withUnsafeBufferPointer { buffer in
                if let start = buffer.baseAddress {
                    place = pass.firstNonFinite(start + rows.lowerBound, rows: rows.count)
                }
            }
            cache.advance(rows: rows.count)
            history += inputs[rows]
        }
        return place
    }
}

extension ModelConfiguration {
    /// Whether no frequency of a rotary embedding depends on a text's length.
    fileprivate var hasFixedRotation: Bool {
        [rotary, localRotary].allSatisfy { $0?.regime(length: 1) == nil }
    }
}
