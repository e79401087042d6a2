public import Devices
internal import Formats

/// Windows of text that a model makes by itself, as data to train another by.
///
/// A window begins with a token drawn at random; a few of the most likely tokens follow, so that what
/// comes is likely under the model, and then tokens are drawn from its distribution. Windows do not depend
/// on how many are asked for: each has random numbers of its own.
///
/// - SeeAlso: Liu et al. 2023, "LLM-QAT", arXiv 2305.17888, section 3.1.
public final class WindowGenerator {
    /// How windows are drawn.
    public struct Options: Sendable {
        /// Above 0; 1 is the model's own distribution.
        public var temperature: Double
        /// Most likely tokens after the first one; the source takes three to five.
        public var greedyCount: Int
        /// Seed of the draws.
        public var seed: UInt64

        /// Options.
        public init(temperature: Double = 1, greedyCount: Int = 4, seed: UInt64) {
            self.temperature = temperature
            self.greedyCount = greedyCount
            self.seed = seed
        }
    }

    /// Windows that are made at a time: enough for products of matrices, little enough for their caches.
    static let sequences = 32

    private let pass: DecoderPass
    private let attention: CachedAttention
    private let head: OutputHead
    private let logits: DeviceTensor
    private var probabilities: [Float]
    private let length: Int
    private let starts: [Int32]
    private let options: Options

    /// Prepares windows of `length` tokens.
    ///
    /// `starts`: The tokens that may begin one; not empty, each in the vocabulary.
    ///
    /// - Throws: ``TransformerError`` (`invalidTokens`) if there are none, or others.
    public init(
        parameters: Parameters,
        length: Int,
        starts: [Int32],
        options: Options,
        device: any ComputeDevice
    ) throws {
        let configuration = parameters.configuration
        let limit = Int32(configuration.vocabularySize)
        guard !starts.isEmpty, starts.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(.invalidTokens, "no token to begin with, or one beyond \(limit)")
        }
        self.length = length
        self.starts = starts
        self.options = options
        attention = CachedAttention(
            configuration: configuration,
            sequences: Self.sequences,
            capacity: length,
            device: device
        )
        pass = DecoderPass(
            weights: try LayerWeights(
                parameters: parameters,
                recipe: .none,
                isPrepared: true,
                device: device
            ),
            attention: attention,
            rows: Self.sequences,
            positions: length,
            keeping: .none
        )
        head = OutputHead(configuration: configuration, device: device)
        logits = device.tensor(rows: Self.sequences, columns: configuration.vocabularySize)
        probabilities = [Float](
            repeating: 0,
            count: Self.sequences * configuration.vocabularySize
        )
        // As a window of training has it: factors are those of its whole length.
        _ = pass.prepareRotation(length: length)
    }

    /// `count` windows, one behind the other.
    ///
    /// `onToken`: Told how many of all tokens there are; throwing stops.
    ///
    /// - Throws: ``TransformerError`` (`nonFinite`) if a logit is NaN or infinite.
    public func windows(_ count: Int, onToken: (Int) throws -> Void) throws -> [Int32] {
        var found: [Int32] = []
        for first in stride(from: 0, to: count, by: Self.sequences) {
            let wanted = min(Self.sequences, count - first)
            // As many at a time as ever: products of other shapes may round otherwise.
            let made = try batch(from: first) { try onToken(first * length + wanted * $0) }
            found += made.prefix(wanted * length)
        }
        return found
    }

    private func batch(
        from window: Int,
        onPosition: (Int) throws -> Void
    ) throws -> [Int32] {
        attention.clear()
        var draws = (0..<Self.sequences).map { index in
            var seeds = SplitMix64(seed: options.seed &+ UInt64(window + index))
            return SplitMix64(seed: seeds.next())
        }
        var tokens = draws.indices.map { starts[draws[$0].below(starts.count)] }
        var found = tokens.map { [$0] }
        for position in 1..<length {
            pass.forward(tokens, rows: tokens.count)
            attention.advance(rows: 1)
            let isGreedy = position <= options.greedyCount
            try readLogits(isGreedy: isGreedy)
            for index in tokens.indices {
                tokens[index] = isGreedy ? likeliest(index) : draw(index, &draws[index])
                found[index].append(tokens[index])
            }
            try onPosition(position + 1)
        }
        return found.flatMap { $0 }
    }

    /// The tokens' logits, or their probabilities.
    private func readLogits(isGreedy: Bool) throws {
        head.logits(logits, hidden: pass.finalNorm, weight: pass.weights.headOperand())
        guard pass.amax(logits).isFinite else {
            throw TransformerError(.nonFinite, "a logit of generated text is not finite")
        }
        if !isGreedy {
            for row in 0..<Self.sequences {
                pass.device.softmax(
                    logits.rows(row..<row + 1),
                    scale: Float(1 / options.temperature)
                )
            }
        }
        probabilities.withUnsafeMutableBufferPointer { values in
            if let start = values.baseAddress { pass.device.download(logits, into: start) }
        }
    }

    private func likeliest(_ row: Int) -> Int32 {
        let v = pass.configuration.vocabularySize
        return probabilities.withUnsafeBufferPointer { values in
            var best = 0
            for token in 1..<v where values[row * v + token] > values[row * v + best] {
                best = token
            }
            return Int32(best)
        }
    }

    private func draw(_ row: Int, _ random: inout SplitMix64) -> Int32 {
        let v = pass.configuration.vocabularySize
        let share = random.uniform()
        return probabilities.withUnsafeBufferPointer { values in
            var sum = 0.0
            var last = 0
            for token in 0..<v where values[row * v + token] > 0 {
                sum += Double(values[row * v + token])
                last = token
                if share < sum { break }
            }
            // What rounding leaves of 1 belongs to the last token that has any.
            return Int32(last)
        }
    }
}
