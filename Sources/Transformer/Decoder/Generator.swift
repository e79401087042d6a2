public import Devices
internal import Formats

/// How the next token is drawn.
public struct SamplingOptions: Sendable, Equatable {
    /// 0 or less takes the most likely token; higher flattens the distribution.
    public var temperature: Double
    /// Only the most likely tokens that together reach this share are drawn from, in (0, 1].
    public var topP: Double
    /// Seed of the draws.
    public var seed: UInt64

    /// Options; the defaults are greedy.
    public init(temperature: Double = 0, topP: Double = 1, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topP = topP
        self.seed = seed
    }
}

/// Generates text token by token with a key-value cache.
///
/// Weights are taken as they are, inputs and the cache rounded as the model says. Not for concurrent
/// use.
public final class Generator {
    /// The cache's capacity, in tokens.
    public let capacity: Int

    private let pass: DecoderPass
    private let cache: CachedAttention
    private let head: OutputHead
    /// Of the token that follows, `[1, vocabulary]`.
    private let logits: DeviceTensor
    private var hostLogits: [Float]
    /// What the cache was made from, to make it again where longer texts turn keys otherwise.
    private var history: [Int32] = []
    private var random: SplitMix64
    private var order: [Int32]

    /// Tokens in the cache.
    public var position: Int { cache.firstPosition }
    private var configuration: ModelConfiguration { pass.configuration }

    /// Prepares a cache of `capacity` tokens, at least 1; prompts are processed `chunk` tokens at a time.
    ///
    /// `activations`: How inputs, keys and values are rounded; dynamic scales of tensors are found in
    /// each chunk. The cache holds `[layers, capacity, keys]` floats of keys and as many of values.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if activations do not fit the model.
    public init(
        parameters: Parameters,
        activations: ActivationQuantization = .none,
        capacity: Int,
        chunk: Int = 128,
        seed: UInt64 = 0,
        device: any ComputeDevice
    ) throws {
        let configuration = parameters.configuration
        self.capacity = capacity
        let maximumRows = min(chunk, capacity)
        cache = CachedAttention(
            configuration: configuration,
            capacity: capacity,
            device: device
        )
        pass = DecoderPass(
            weights: try LayerWeights(
                parameters: parameters,
                recipe: .none,
                activations: activations,
                device: device
            ),
            attention: cache,
            rows: maximumRows,
            positions: capacity,
            keeping: .none
        )
        head = OutputHead(configuration: configuration, device: device)
        logits = device.tensor(columns: configuration.vocabularySize)
        hostLogits = [Float](repeating: 0, count: configuration.vocabularySize)
        history.reserveCapacity(capacity)
        random = SplitMix64(seed: seed)
        order = (0..<Int32(configuration.vocabularySize)).map { $0 }
    }

    /// Forgets all tokens.
    public func reset() {
        cache.clear()
        history.removeAll(keepingCapacity: true)
    }

    /// Appends at least one token, each in the vocabulary, and leaves the logits of the token that
    /// follows.
    ///
    /// - Throws: ``TransformerError``: `invalidTokens` if they do not fit or are not tokens, `nonFinite`
    ///   if logits are NaN or infinite, naming the layer where that begins.
    public func append(_ tokens: [Int32]) throws {
        let limit = Int32(configuration.vocabularySize)
        guard !tokens.isEmpty, position + tokens.count <= capacity,
            tokens.allSatisfy({ $0 >= 0 && $0 < limit })
        else {
            throw TransformerError(
                .invalidTokens,
                "\(tokens.count) tokens at \(position) do not fit a cache of \(capacity)"
            )
        }
        history += tokens
        let isStale = pass.prepareRotation(length: history.count)
        if isStale { cache.clear() }
        feed(from: position)
        guard pass.amax(logits).isFinite else {
            throw pass.nonFiniteError("a logit", at: firstNonFinite())
        }
    }

    /// Calls `body` with each chunk of tokens that the cache does not hold, until that says stop.
    private func forEachChunk(
        from first: Int,
        _ body: (UnsafePointer<Int32>, _ rows: Int) -> Bool
    ) {
        var start = first
        var goesOn = true
        while goesOn, start < history.count {
            let count = min(pass.activations.rows, history.count - start)
            history.withUnsafeBufferPointer { buffer in
                if let base = buffer.baseAddress { goesOn = body(base + start, count) }
            }
            cache.advance(rows: count)
            start += count
        }
    }

    /// The first module whose output is not finite; runs all tokens anew.
    private func firstNonFinite() -> String? {
        cache.clear()
        var place: String?
        forEachChunk(from: 0) { tokens, rows in
            place = pass.firstNonFinite(tokens, rows: rows)
            return place == nil
        }
        return place
    }

    /// Runs the tokens that the cache does not hold.
    private func feed(from first: Int) {
        forEachChunk(from: first) { tokens, rows in
            pass.forward(tokens, rows: rows)
            return true
        }
        head.logits(
            logits,
            hidden: pass.finalNorm.rows(pass.rows - 1..<pass.rows),
            weight: pass.weights.headOperand()
        )
    }

    /// The logits of the token that follows, `[vocabulary]`; probabilities once it was drawn.
    package var lastLogits: [Float] {
        var values = hostLogits
        pass.device.download(logits, into: &values)
        return values
    }

    /// Draws the next token, in 0 ..< the vocabulary's size, from the last logits.
    ///
    /// Once per ``append(_:)``: with a temperature the logits become probabilities.
    public func sample(_ options: SamplingOptions) -> Int32 {
        let v = configuration.vocabularySize
        guard options.temperature > 0 else {
            pass.device.download(logits, into: &hostLogits)
            return hostLogits.withUnsafeBufferPointer { logits in
                var best = 0
                for index in 1..<v where logits[index] > logits[best] { best = index }
                return Int32(best)
            }
        }
        pass.device.softmax(logits, scale: Float(1 / options.temperature))
        pass.device.download(logits, into: &hostLogits)
        let probabilities = hostLogits
        order.sort { probabilities[Int($0)] > probabilities[Int($1)] }
        var nucleus = 0.0
        var size = 0
        while size < v && (size == 0 || nucleus < options.topP) {
            nucleus += Double(probabilities[Int(order[size])])
            size += 1
        }
        var draw = random.uniform() * nucleus
        for index in 0..<size {
            draw -= Double(probabilities[Int(order[index])])
            if draw < 0 {
                return order[index]
            }
        }
        return order[size - 1]
    }
}
