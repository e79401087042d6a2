internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Rounding that is learned layer by layer.
@Suite struct RoundingLearnerTests {
    private static let learning = LearnedRounding(iterations: 40, windows: 2)

    private struct Outcome {
        let parameters: Parameters
        let stored: [String: PackedTensor]
        let layers: [LearnedLayer]
    }

    private func quantize(
        _ format: QuantizationFormat = .mxfp4,
        smoothing: PostTrainingMethod.Smoothing = .none,
        activations: QuantizationFormat? = nil,
        windows: Int = 16,
        seed: UInt64 = 5,
        threads: Int = 1
    ) throws -> Outcome {
        let parameters = try SmallModel.make()
        let quantizer = PostTrainingQuantizer(
            recipe: QuantizationRecipe(defaultFormat: format, activations: activations),
            method: .init(rounding: .learned(Self.learning), smoothing: smoothing),
            seed: seed,
            team: ThreadTeam(threadCount: threads)
        )
        var stored: [String: PackedTensor] = [:]
        var layers: [LearnedLayer] = []
        _ = try quantizer.quantize(
            parameters,
            calibration: try SmallModel.windows(windows),
            listener: .init(
                onLearned: { layers.append($0) },
                onResult: { result, _ in stored[result.entry.name] = result.packed }
            )
        )
        return Outcome(parameters: parameters, stored: stored, layers: layers)
    }

    private func divergence(_ parameters: Parameters) throws -> Double {
        let comparison = try LogitDivergence(
            original: try SmallModel.make(),
            tokens: SmallModel.tokens(256, seed: 77),
            length: 32,
            device: CPUDevice(team: SmallModel.team)
        )
        return try comparison.measure(parameters).klDivergence
    }

    @Test(arguments: [QuantizationFormat.mxfp4, .nvfp4, .mxfp6E2M3, .fp8PerTensor, .fp8PerChannel])
    func lowersEachLayersErrorAndStoresWhatItRounds(format: QuantizationFormat) throws {
        let outcome = try quantize(format)
        #expect(outcome.layers.map(\.layer) == [0, 1])
        for layer in outcome.layers {
            #expect(layer.errorAfter < layer.errorBefore, "\(layer.sentence)")
            #expect((1..<Self.learning.iterations).contains(layer.keptStep))
        }
        #expect(outcome.stored.count == 14)
        for (name, packed) in outcome.stored {
            var values = [Float](repeating: 0, count: packed.rows * packed.columns)
            try values.withUnsafeMutableBufferPointer {
                try BlockQuantizer.dequantize(packed, into: $0, team: SmallModel.team)
            }
            #expect(try outcome.parameters.elements(named: name).elementsEqual(values), "\(name)")
        }
    }

    /// On text that nothing was learned from, too; and scaled channels go with it.
    @Test func theModelIsNearerToTheOriginal() throws {
        func nearest(_ smoothing: PostTrainingMethod.Smoothing) throws -> Double {
            let parameters = try SmallModel.make()
            let quantizer = PostTrainingQuantizer(
                recipe: QuantizationRecipe(defaultFormat: .mxfp4),
                method: .init(rounding: .nearest(.mse), smoothing: smoothing),
                team: SmallModel.team
            )
            let windows = try SmallModel.windows(96)
            _ = try quantizer.quantize(parameters, calibration: windows) { _, _ in }
            return try divergence(parameters)
        }
        for smoothing in [PostTrainingMethod.Smoothing.none, .activationAware] {
            let learned = try divergence(quantize(smoothing: smoothing, windows: 96).parameters)
            let found = try nearest(smoothing)
            #expect(learned < found, "\(smoothing)")
        }
    }

    /// The stored scale is the nearest of a factor of 0.5 to 1.5, and the code under it next to the
    /// nearest.
    @Test func codesStayNextToTheNearestAndScalesWithinABinade() throws {
        let outcome = try quantize()
        let original = try SmallModel.make()
        let quantizer = PostTrainingQuantizer(
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            method: .init(rounding: .nearest(.mse)),
            team: SmallModel.team
        )
        var nearest: [String: PackedTensor] = [:]
        let windows = try SmallModel.windows(16)
        _ = try quantizer.quantize(try SmallModel.make(), calibration: windows) { result, _ in
            nearest[result.entry.name] = result.packed
        }
        var moved = 0
        // Of the first layer, whose inputs are the same in both.
        for (name, packed) in outcome.stored where name.contains("layers.0.") {
            let start = try #require(nearest[name])
            for (a, b) in zip(packed.scales, start.scales) { #expect(abs(Int(a) - Int(b)) <= 1) }
            let own = try BlockQuantizer.quantize(
                UnsafeBufferPointer(try original.elements(named: name)),
                rows: packed.rows,
                columns: packed.columns,
                format: .mxfp4,
                scales: BlockScales(packed),
                team: SmallModel.team
            )
            for (a, b) in zip(packed.codes, own.codes) {
                for shift in [0, 4] {
                    let distance = abs(Int(a >> shift & 7) - Int(b >> shift & 7))
                    #expect(distance <= 1)
                    moved += distance
                }
            }
        }
        #expect(moved > 100)
    }

    @Test func seedsDecideAndThreadsDoNot() throws {
        let one = try quantize()
        let three = try quantize(threads: 3)
        let other = try quantize(seed: 6)
        #expect(one.layers == three.layers)
        #expect(
            one.parameters.storage.elements.elementsEqual(three.parameters.storage.elements)
        )
        #expect(
            !one.parameters.storage.elements.elementsEqual(other.parameters.storage.elements)
        )
    }

    /// What is learned makes up for the rounding of inputs where they are rounded.
    @Test func learnsUnderRoundedInputs() throws {
        let plain = try quantize()
        let rounded = try quantize(activations: .mxfp4)
        #expect(rounded.layers[0].errorBefore > plain.layers[0].errorBefore)
        #expect(rounded.layers.allSatisfy { $0.errorAfter < $0.errorBefore })
    }

    @Test func stopsInTheMiddleOfALayer() throws {
        struct Stop: Error {}
        let parameters = try SmallModel.make()
        let quantizer = PostTrainingQuantizer(
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            method: .init(rounding: .learned(Self.learning)),
            team: SmallModel.team
        )
        var steps: [Int] = []
        #expect(throws: Stop.self) {
            _ = try quantizer.quantize(
                parameters,
                calibration: try SmallModel.windows(4),
                listener: .init(onStep: { done, total in
                    #expect(total == 2 * Self.learning.iterations)
                    steps.append(done)
                    if done == 7 { throw Stop() }
                })
            )
        }
        #expect(steps == Array(0...7))
        let original = try SmallModel.make()
        #expect(parameters.storage.elements.elementsEqual(original.storage.elements))
    }

    /// Gradients of rounded weights against finite differences of the error, which this test computes from
    /// what the layer puts out.
    @Test(arguments: [LinearModule.query, .value, .output, .gate, .down])
    func gradientsEqualFiniteDifferences(module: LinearModule) throws {
        let parameters = try SmallModel.make()
        let device = CPUDevice(team: SmallModel.team)
        let windows = try SmallModel.windows(2)
        let streams = try Self.streams(parameters, windows, device)
        let rounded = try LinearModule.allCases.map { module in
            let entry = parameters.layout.entry(of: module, layer: 0)
            let packed = try BlockQuantizer.quantize(
                UnsafeBufferPointer(parameters.elements(of: entry)),
                rows: entry.rows,
                columns: entry.columns,
                format: .mxfp4,
                team: SmallModel.team
            )
            return (module: module, entry: entry, packed: packed)
        }
        let learner = try RoundingLearner(
            parameters: parameters,
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            layer: 0,
            starts: rounded.map {
                .init(
                    module: $0.module,
                    entry: $0.entry,
                    format: .mxfp4,
                    scales: BlockScales($0.packed)
                )
            },
            learning: LearnedRounding(iterations: 1, windows: 2),
            streams: streams,
            device: device
        )
        _ = try learner.findGradients([0, 1])
        let entry = parameters.layout.entry(of: module, layer: 0)
        let gradient = try #require(learner.gradient(ofParameter: entry.name))
        for weight in rounded {
            let values = parameters.elements(of: weight.entry)
            try BlockQuantizer.dequantize(weight.packed, into: values, team: SmallModel.team)
        }
        let values = parameters.elements(of: entry)
        let strongest = gradient.indices.sorted { abs(gradient[$0]) > abs(gradient[$1]) }
        for index in [0, 3, 10, 40].map({ strongest[$0] }) {
            let value = values[index]
            let width: Float = 0.01
            values[index] = value + width
            let above = try Self.error(parameters, streams, device)
            values[index] = value - width
            let below = try Self.error(parameters, streams, device)
            values[index] = value
            let expected = (above - below) / Double(2 * width)
            #expect(abs(Double(gradient[index]) / expected - 1) < 0.02, "\(module) \(index)")
        }
    }

    /// What comes into the first layer, and what it puts out with other weights.
    private static func streams(
        _ parameters: Parameters,
        _ windows: CalibrationWindows,
        _ device: CPUDevice
    ) throws -> RoundingLearner.Streams {
        let inputs = try LayerwisePass(parameters: parameters, windows: windows, device: device)
        let outputs = try LayerwisePass(
            parameters: try SmallModel.make(seed: 12),
            windows: windows,
            device: device
        )
        try outputs.advance(layer: 0)
        return .init(
            inputs: inputs.hidden,
            targets: outputs.hidden,
            windowCount: windows.count,
            length: windows.length
        )
    }

    /// The sum over rows of the squared distance, relative to the target's square length.
    private static func error(
        _ parameters: Parameters,
        _ streams: RoundingLearner.Streams,
        _ device: CPUDevice
    ) throws -> Double {
        let weights = try LayerWeights(parameters: parameters, recipe: .none, device: device)
        let pass = DecoderPass(window: streams.length, weights: weights)
        var total = 0.0
        for window in 0..<streams.windowCount {
            device.copy(streams.inputs.rows(streams.rows(of: window)), to: pass.layer(0).input)
            pass.decode(layer: 0, into: pass.output)
            let found = pass.output.values
            let wanted = streams.targets.rows(streams.rows(of: window)).values
            let width = pass.output.columns
            for row in 0..<streams.length {
                let range = row * width..<(row + 1) * width
                let distance = range.reduce(0.0) {
                    let difference = Double(found[$1]) - Double(wanted[$1])
                    return $0 + difference * difference
                }
                let size = range.reduce(0.0) { $0 + Double(wanted[$1]) * Double(wanted[$1]) }
                total += distance / size
            }
        }
        return total
    }
}
