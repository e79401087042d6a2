internal import Devices
internal import Formats
internal import Kernels
internal import Quantization

/// What learning did to one decoder layer's outputs on the calibration windows.
public struct LearnedLayer: Sendable, Equatable, Codable {
    /// The layer.
    public var layer: Int
    /// Squared distance from the original layer's outputs, relative to their square length and averaged
    /// over tokens, of weights rounded to nearest.
    public var errorBefore: Double
    /// The same of what was learned; no more than before.
    public var errorAfter: Double
    /// Steps behind what was kept; 0 if it is rounding to nearest.
    public var keptStep: Int

    /// `layer 3: error of its outputs 1.234 % → 0.567 %, after 187 steps`.
    public var sentence: String {
        func percent(_ error: Double) -> String { "\((error * 1e5).rounded() / 1e3) %" }
        return "layer \(layer): error of its outputs \(percent(errorBefore)) → "
            + "\(percent(errorAfter)), after \(keptStep) steps"
    }
}

/// Learns how one decoder layer's weights are rounded, so that on calibration windows the layer puts out
/// what the original model's does.
///
/// The engine's forward and backward passes of the layer, over weights rounded under learned offsets and
/// scales; steps against the signs of gradients whose length falls linearly. Not for concurrent use.
/// - SeeAlso: Cheng et al., SignRound, arXiv 2309.05516.
final class RoundingLearner {
    /// A weight and where learning begins.
    struct Start {
        let module: LinearModule
        let entry: ParameterLayout.Entry
        let format: QuantizationFormat
        let scales: BlockScales
    }

    /// The residual streams of all windows, `[windows · length, hidden]` each.
    struct Streams {
        /// What comes into the layer.
        let inputs: DeviceTensor
        /// What the original layer puts out.
        let targets: DeviceTensor
        let windowCount: Int
        let length: Int

        func rows(of window: Int) -> Range<Int> { window * length..<(window + 1) * length }
    }

    private struct Slot {
        let start: Start
        let learned: LearnedRoundingTensors
        let bestOffsets: DeviceTensor
        let bestFactors: DeviceTensor?
    }

    /// Within which a block's step stays, relative to where it began.
    static let factors: ClosedRange<Float> = 0.5...1.5

    private let layer: Int
    private let device: any ComputeDevice
    private let weights: LayerWeights
    private let pass: DecoderPass
    private let gradients: GradientArena
    private let backward: BackwardPass
    private let slots: [Slot]
    private let learning: LearnedRounding
    private let streams: Streams
    /// Windows of a step.
    private let batch: Int
    /// Of a step's windows, `[batch · length, hidden]`.
    private let targets: DeviceTensor
    private let outputGradient: DeviceTensor
    private let sums: DeviceTensor

    /// Prepares learning from weights rounded to nearest under `starts`' scales.
    ///
    /// `recipe`: Says the formats of the layer's weights and inputs.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`).
    init(
        parameters: Parameters,
        recipe: QuantizationRecipe,
        layer: Int,
        starts: [Start],
        learning: LearnedRounding,
        streams: Streams,
        device: any ComputeDevice
    ) throws {
        self.layer = layer
        self.device = device
        self.learning = learning
        self.streams = streams
        batch = min(learning.windows, streams.windowCount)
        weights = try LayerWeights(
            parameters: parameters,
            recipe: recipe,
            isPrepared: true,
            preparedLayer: layer,
            device: device
        )
        weights.setProgress(1)
        let configuration = parameters.configuration
        let attention = WholeSequences(
            configuration: configuration,
            length: streams.length,
            device: device
        )
        let rows = batch * streams.length
        pass = DecoderPass(
            weights: weights,
            attention: attention,
            rows: rows,
            positions: streams.length,
            keeping: .none
        )
        let names = Set(starts.map(\.entry.name))
        gradients = GradientArena(
            parameters.layout.entries.filter { names.contains($0.name) },
            device: device
        )
        backward = BackwardPass(pass: pass, attention: attention, gradients: gradients)
        targets = device.tensor(rows: rows, columns: configuration.hiddenSize)
        outputGradient = device.tensor(rows: rows, columns: configuration.hiddenSize)
        sums = device.tensor(columns: 3, type: .float64)
        slots = starts.map { [weights] in Self.slot($0, weights) }
        for slot in slots { weights.setLearned(slot.learned, slot.start.module, layer: layer) }
    }

    private static func slot(_ start: Start, _ weights: LayerWeights) -> Slot {
        let device = weights.device
        func offsets() -> DeviceTensor {
            device.tensor(rows: start.entry.rows, columns: start.entry.columns)
        }
        let count = start.format.scaleKind.hasBlocks ? start.scales.blocks.count : nil
        func room() -> DeviceTensor? { count.map { device.tensor(columns: $0) } }
        let learned = LearnedRoundingTensors(
            offsets: offsets(),
            factors: room(),
            steps: room(),
            scales: weights.stored(start.scales)
        )
        let best = room()
        if let count, let steps = learned.steps, let factors = learned.factors, let best {
            device.upload(start.scales.steps(start.format), to: steps)
            let ones = [Float](repeating: 1, count: count)
            device.upload(ones, to: factors)
            device.upload(ones, to: best)
        }
        return Slot(start: start, learned: learned, bestOffsets: offsets(), bestFactors: best)
    }
}

// MARK: - Learning

extension RoundingLearner {
    /// Learns, and leaves the weights rounded by the best of it.
    ///
    /// `seed`: Draws the windows of each step. `onStep`: Told how many steps are done before each, and
    /// after the last; throwing stops, the weights being as they were.
    ///
    /// - Throws: ``TransformerError`` (`nonFinite`), and what `onStep` throws.
    func learn(seed: UInt64, onStep: (Int) throws -> Void) throws -> LearnedLayer {
        var generator = SplitMix64(seed: seed)
        let before = try errors()
        var best = (share: Double.infinity, step: 0)
        for step in 0..<learning.iterations {
            try onStep(step)
            let windows = draw(using: &generator)
            let error = try findGradients(windows)
            // Windows differ more from each other than steps do.
            let share = error / max(windows.reduce(0) { $0 + before[$1] }, .leastNormalMagnitude)
            if share < best.share {
                best = (share, step)
                keep()
            }
            take(rate: 1 - Float(step) / Float(learning.iterations))
        }
        try onStep(learning.iterations)
        restore()
        let count = Double(streams.windowCount)
        var outcome = LearnedLayer(
            layer: layer,
            errorBefore: before.reduce(0, +) / count,
            errorAfter: try errors().reduce(0, +) / count,
            keptStep: best.step
        )
        if outcome.errorAfter >= outcome.errorBefore {
            forget()
            outcome.errorAfter = outcome.errorBefore
            outcome.keptStep = 0
        }
        roundWeights()
        return outcome
    }

    /// The scales that weights were left under, in the order of the starts.
    var scales: [BlockScales] { slots.map(scales) }

    /// The latest gradient of a parameter's rounded values, row-major; nil if it is not learned.
    func gradient(ofParameter name: String) -> [Float]? {
        guard let slot = slots.first(where: { $0.start.entry.name == name }),
            let gradient = gradients.gradient(of: slot.start.entry)
        else { return nil }
        var values = [Float](repeating: 0, count: gradient.count)
        device.download(gradient, into: &values)
        return values
    }

    /// Runs some windows as the weights are now rounded, and finds the gradients.
    func findGradients(_ windows: [Int]) throws -> Double {
        let error = try forward(windows)
        gradients.clear()
        backward.run(layer: layer, outputGradient: outputGradient)
        return error
    }

    /// As many different windows as a step takes.
    private func draw(using generator: inout SplitMix64) -> [Int] {
        var all = Array(0..<streams.windowCount)
        for place in 0..<batch {
            all.swapAt(place, place + generator.below(all.count - place))
        }
        return Array(all.prefix(batch))
    }

    /// Runs windows, as many as a step takes; the sum of their mean errors.
    private func forward(_ windows: [Int]) throws -> Double {
        load(windows)
        return try error(rows: 0..<targets.rows) * Double(windows.count)
    }

    private func load(_ windows: [Int]) {
        let input = pass.layer(layer).input
        for (place, window) in windows.enumerated() {
            let rows = streams.rows(of: place)
            device.copy(streams.inputs.rows(streams.rows(of: window)), to: input.rows(rows))
            device.copy(streams.targets.rows(streams.rows(of: window)), to: targets.rows(rows))
        }
        pass.decode(layer: layer, into: pass.output)
    }

    /// The mean error of some rows of what was run, and its gradient.
    private func error(rows: Range<Int>) throws -> Double {
        device.clear(sums)
        device.hiddenError(
            student: pass.output.rows(rows),
            teacher: targets.rows(rows),
            gradientScale: 1,
            gradient: outputGradient.rows(rows),
            sums: sums
        )
        var found = [Double](repeating: 0, count: 3)
        device.download(sums, into: &found)
        guard found[0].isFinite else {
            throw TransformerError(
                .nonFinite,
                "what layer \(layer) puts out on the calibration text is not finite"
            )
        }
        return found[0] / Double(rows.count)
    }

    /// The mean error of each window.
    private func errors() throws -> [Double] {
        var found: [Double] = []
        for first in stride(from: 0, to: streams.windowCount, by: batch) {
            // A pass has as many windows as ever; the last one's may come twice.
            load((first..<first + batch).map { min($0, streams.windowCount - 1) })
            for place in 0..<min(batch, streams.windowCount - first) {
                found.append(try error(rows: streams.rows(of: place)))
            }
        }
        return found
    }

    /// `rate`: What is left of the first step's length, in 0 … 1.
    private func take(rate: Float) {
        let length = rate / Float(learning.iterations)
        let step = LearnedRoundingStep(
            offsetRate: length,
            factorRate: length,
            factors: Self.factors
        )
        for slot in slots {
            guard let gradient = gradients.gradient(of: slot.start.entry) else { continue }
            device.learnRounding(
                slot.learned,
                gradient: gradient,
                source: weights.tensor(slot.start.entry),
                slot.start.format,
                step: step
            )
        }
        weights.invalidate()
    }
}

// MARK: - The best

extension RoundingLearner {
    private func keep() {
        for slot in slots {
            device.copy(slot.learned.offsets, to: slot.bestOffsets)
            if let factors = slot.learned.factors, let best = slot.bestFactors {
                device.copy(factors, to: best)
            }
        }
    }

    private func restore() {
        for slot in slots {
            device.copy(slot.bestOffsets, to: slot.learned.offsets)
            if let factors = slot.learned.factors, let best = slot.bestFactors {
                device.copy(best, to: factors)
            }
            weights.upload(scales(slot), to: slot.learned.scales)
        }
        weights.invalidate()
    }

    /// Back to where learning began.
    private func forget() {
        for slot in slots {
            device.clear(slot.learned.offsets)
            if let factors = slot.learned.factors {
                device.upload([Float](repeating: 1, count: factors.count), to: factors)
            }
            weights.upload(slot.start.scales, to: slot.learned.scales)
        }
        weights.invalidate()
    }

    private func scales(_ slot: Slot) -> BlockScales {
        let start = slot.start
        guard let factors = slot.learned.factors else { return start.scales }
        var steps = [Float](repeating: 0, count: factors.count)
        device.download(factors, into: &steps)
        for (index, first) in start.scales.steps(start.format).enumerated() {
            steps[index] *= first
        }
        return start.scales.with(steps: steps, start.format)
    }

    private func roundWeights() {
        for slot in slots {
            let weight = weights.tensor(slot.start.entry)
            device.fakeQuantize(
                weight,
                weights.rounding(slot.start.module, layer, slot.start.format),
                into: weight
            )
        }
        weights.settle()
    }
}
