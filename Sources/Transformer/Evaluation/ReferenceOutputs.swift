public import Devices
internal import Formats
internal import Kernels

/// How a model's next tokens compare with a reference model's on the same windows of a text.
public struct OutputAgreement: Sendable, Equatable {
    /// A mean over windows.
    public struct Figure: Sendable, Equatable {
        /// The mean.
        public var mean: Double
        /// Its 95 % confidence interval over windows, by Student's t; nil of one window.
        public var interval: [Double]?
    }

    /// KL(reference ‖ model) of the next token's distributions, in nats; 0 or more but for rounding.
    public var divergence: Figure
    /// Share of positions where both find the same token likeliest, in 0 … 1.
    public var topAgreement: Figure
    /// Share of targets that one of both hits with its likeliest token and the other misses, in 0 … 1.
    public var flips: Figure
    /// Windows compared.
    public var windowCount: Int
}

/// Remembers what a model puts out on windows of a text, to compare other models with it once it is gone.
///
/// Holds `[windows · length, hidden]` and `[vocabulary, hidden]` floats. Not for concurrent use.
public final class ReferenceOutputs {
    private let tokens: [Int32]
    private let length: Int
    private let windowCount: Int
    private let configuration: ModelConfiguration
    private let device: any ComputeDevice
    /// Normalized hidden states, `[windows · length, hidden]`.
    private let hidden: DeviceTensor
    private let head: DeviceTensor
    /// The likeliest token behind each one.
    private var likeliest: [Int32] = []

    /// Runs a reference on the first windows of `length` tokens, at least 2.
    ///
    /// `activations`: How inputs, keys and values are rounded. `windows`: At most; at least 1. `onWindow`:
    /// Called after each window with how many are done; throwing stops.
    ///
    /// - Throws: ``TransformerError``: `invalidRecipe` if activations do not fit the model; `invalidTokens`
    ///   if no window is filled or a token is not in the vocabulary; `nonFinite`, naming the layer.
    public init(
        parameters: Parameters,
        activations: ActivationQuantization,
        tokens: [Int32],
        length: Int,
        windows: Int,
        device: any ComputeDevice,
        onWindow: (Int) throws -> Void
    ) throws {
        configuration = parameters.configuration
        windowCount = length > 1 ? min(windows, tokens.count / length) : 0
        guard windowCount > 0 else {
            throw TransformerError(
                .invalidTokens,
                "the text has \(tokens.count) tokens; one window takes \(length)"
            )
        }
        self.tokens = Array(tokens.prefix(windowCount * length))
        self.length = length
        self.device = device
        hidden = device.tensor(rows: self.tokens.count, columns: configuration.hiddenSize)
        let entry = parameters.layout.head
        head = device.tensor(rows: entry.rows, columns: entry.columns)
        let run = try ModelRun(parameters, activations, length: length, device)
        device.copy(run.weights.effectiveHead(), to: head)
        let picking = TokenPicking(configuration, length: length, device)
        for window in 0..<windowCount {
            let states = try run.states(self.tokens, window: window)
            device.copy(states, to: hidden.rows(rows(of: window)))
            likeliest += picking.likeliest(states, .tensor(head))
            try onWindow(window + 1)
        }
    }

    /// Compares a model of the same vocabulary with the reference.
    ///
    /// - Throws: ``TransformerError``: `parameterMismatch` of another vocabulary; `nonFinite` if the
    ///   divergence is NaN or infinite, naming the layer where that begins.
    public func compare(
        _ parameters: Parameters,
        activations: ActivationQuantization,
        onWindow: (Int) throws -> Void
    ) throws -> OutputAgreement {
        let own = parameters.configuration
        guard own.vocabularySize == configuration.vocabularySize else {
            throw TransformerError(
                .parameterMismatch,
                "the model has \(own.vocabularySize) tokens, the reference \(configuration.vocabularySize)"
            )
        }
        let run = try ModelRun(parameters, activations, length: length, device)
        let loss = LossHead(
            configuration: own,
            teacher: configuration,
            chunkRows: min(TokenPicking.chunkRows, length),
            device: device
        )
        let picking = TokenPicking(own, length: length, device)
        var (divergences, agreements, flips) = ([Double](), [Double](), [Double]())
        for window in 0..<windowCount {
            let states = try run.states(tokens, window: window)
            let reference = hidden.rows(rows(of: window))
            let sum = loss.distillation(
                LossHead.Input(hidden: states, head: run.weights.headOperand()),
                teacher: .hidden(LossHead.Input(hidden: reference, head: .tensor(head))),
                gradient: nil
            ).main
            guard sum.loss.isFinite else {
                throw run.nonFiniteError(
                    "the divergence on window \(window + 1) of \(windowCount)",
                    tokens,
                    window: window
                )
            }
            divergences.append(sum.loss / Double(length))
            agreements.append(Double(sum.correct) / Double(length))
            let picked = picking.likeliest(states, run.weights.headOperand())
            flips.append(self.flips(picked, window))
            try onWindow(window + 1)
        }
        return OutputAgreement(
            divergence: Self.figure(divergences, within: nil),
            topAgreement: Self.figure(agreements, within: 0...1),
            flips: Self.figure(flips, within: 0...1),
            windowCount: windowCount
        )
    }

    private func rows(of window: Int) -> Range<Int> { window * length..<(window + 1) * length }

    /// The share of a window's targets that one model hits and the other misses.
    private func flips(_ own: [Int32], _ window: Int) -> Double {
        let first = window * length
        let flipped = (0..<length - 1).count { row in
            let target = tokens[first + row + 1]
            return (own[row] == target) != (likeliest[first + row] == target)
        }
        return Double(flipped) / Double(length - 1)
    }

    private static func figure(
        _ values: [Double],
        within range: ClosedRange<Double>?
    ) -> OutputAgreement.Figure {
        let mean = RatioEstimate(values.map { ($0, 1) })
        return OutputAgreement.Figure(
            mean: mean.ratio,
            interval: mean.interval?.map { end in
                range.map { min(max(end, $0.lowerBound), $0.upperBound) } ?? end
            }
        )
    }
}

/// Finds the likeliest token behind hidden states.
private struct TokenPicking {
    /// Rows of logits at a time.
    static let chunkRows = 64

    private let head: OutputHead
    private let length: Int
    private let device: any ComputeDevice
    private let logits: DeviceTensor
    private let host: AlignedBuffer<Float>

    init(_ configuration: ModelConfiguration, length: Int, _ device: any ComputeDevice) {
        head = OutputHead(configuration: configuration, device: device)
        self.length = length
        self.device = device
        logits = device.tensor(
            rows: min(Self.chunkRows, length),
            columns: configuration.vocabularySize
        )
        host = AlignedBuffer(count: logits.count)
    }

    /// Of each row of a window's states, `[length, hidden]`; the first of equal ones.
    func likeliest(_ states: DeviceTensor, _ weight: WeightOperand) -> [Int32] {
        let v = logits.columns
        var found: [Int32] = []
        for start in stride(from: 0, to: length, by: logits.rows) {
            let count = min(logits.rows, length - start)
            let part = logits.first(count)
            head.logits(part, hidden: states.rows(start..<start + count), weight: weight)
            device.download(part, into: host.pointer)
            for row in 0..<count {
                let values = UnsafePointer(host.pointer + row * v)
                var best = 0
                for token in 1..<v where values[token] > values[best] { best = token }
                found.append(Int32(best))
            }
        }
        return found
    }
}

/// A model that runs windows.
private struct ModelRun {
    let weights: LayerWeights
    private let pass: DecoderPass
    private let length: Int

    init(
        _ parameters: Parameters,
        _ activations: ActivationQuantization,
        length: Int,
        _ device: any ComputeDevice
    ) throws {
        self.length = length
        weights = try LayerWeights(
            parameters: parameters,
            recipe: .none,
            activations: activations,
            device: device
        )
        pass = DecoderPass(window: length, weights: weights)
    }

    /// The normalized hidden states of a window, `[length, hidden]`; valid until the next call.
    func states(_ tokens: [Int32], window: Int) throws -> DeviceTensor {
        let limit = Int32(pass.configuration.vocabularySize)
        let own = tokens[window * length..<(window + 1) * length]
        guard own.allSatisfy({ $0 >= 0 && $0 < limit }) else {
            throw TransformerError(.invalidTokens, "a token is outside the vocabulary of \(limit)")
        }
        own.withUnsafeBufferPointer { if let start = $0.baseAddress { pass.forward(start) } }
        guard pass.amax(pass.finalNorm).isFinite else {
            throw nonFiniteError("an output of window \(window + 1)", tokens, window: window)
        }
        return pass.finalNorm
    }

    func nonFiniteError(_ what: String, _ tokens: [Int32], window: Int) -> TransformerError {
        var place: String?
        tokens[window * length..<(window + 1) * length].withUnsafeBufferPointer {
            if let start = $0.baseAddress { place = pass.firstNonFinite(start, rows: length) }
        }
        return pass.nonFiniteError(what, at: place)
    }
}
