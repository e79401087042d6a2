internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

struct PostTrainingQuantizerTests {
    private func quantize(
        _ method: PostTrainingMethod,
        _ format: QuantizationFormat = .mxfp4,
        calibrated: Bool = true
    ) throws -> (Parameters, [String: PackedTensor], ActivationRanges?) {
        let parameters = try SmallModel.make()
        var stored: [String: PackedTensor] = [:]
        let quantizer = PostTrainingQuantizer(
            recipe: QuantizationRecipe(
                defaultFormat: format,
                rules: [.init(pattern: "*embed_tokens", format: .mxfp8)]
            ),
            method: method,
            team: SmallModel.team
        )
        let ranges = try quantizer.quantize(
            parameters,
            calibration: calibrated ? try SmallModel.windows(32) : nil
        ) { result, count in
            stored[result.entry.name] = result.packed
            #expect(count == 15)
        }
        return (parameters, stored, ranges)
    }

    private func divergence(_ parameters: Parameters) throws -> Double {
        let original = try SmallModel.make()
        let comparison = try LogitDivergence(
            original: original,
            tokens: SmallModel.tokens(256, seed: 77),
            length: 32,
            device: CPUDevice(team: SmallModel.team)
        )
        return try comparison.measure(parameters).klDivergence
    }

    /// What training starts from stays: rounded anew, a block's step is the same, or a half or a
    /// quarter of it, whose multiples its values are, too.
    ///
    /// Not so under `ceil`: 6 steps become 3 of twice the size, and one step is lost.
    @Test(
        arguments: [
            PostTrainingMethod.max, .init(rounding: .nearest(.mse)),
            .init(rounding: .gptq(GPTQ(usesActivationOrder: true)), smoothing: .activationAware),
            .init(rounding: .learned(LearnedRounding(iterations: 20, windows: 2))),
        ],
        [ScaleMode.floor, .even, .evenCT, .rceil]
    )
    func roundedWeightsAreRoundedToThemselves(method: PostTrainingMethod, mode: ScaleMode) throws {
        let (parameters, _, _) = try quantize(method)
        var format = QuantizationFormat.mxfp4
        format.scaleMode = mode
        let recipe = QuantizationRecipe(defaultFormat: format)
        #expect(try parameters.countMoved(by: recipe, team: SmallModel.team) == 0)
        let original = try SmallModel.make()
        #expect(try original.countMoved(by: recipe, team: SmallModel.team) > 1000)
    }

    @Test(
        arguments: [
            PostTrainingMethod.max, .init(rounding: .nearest(.mse)),
            .init(rounding: .nearest(.sweep)), .init(rounding: .gptq(GPTQ())),
            .init(rounding: .gptq(GPTQ(usesActivationOrder: true))),
            .init(rounding: .nearest(.mse), smoothing: .activationAware),
            .init(rounding: .gptq(GPTQ()), smoothing: .activationAware),
            .init(rounding: .nearest(.max), smoothing: .smoothQuant(migration: 0.5)),
        ],
        [QuantizationFormat.mxfp4, .nvfp4, .fp8PerTensor, .fp8PerChannel]
    )
    func storesWhatItRounds(method: PostTrainingMethod, format: QuantizationFormat) throws {
        let (parameters, stored, _) = try quantize(method, format)
        #expect(stored.count == 15)
        for (name, packed) in stored {
            var values = [Float](repeating: 0, count: packed.rows * packed.columns)
            try values.withUnsafeMutableBufferPointer {
                try BlockQuantizer.dequantize(packed, into: $0, team: SmallModel.team)
            }
            #expect(try parameters.elements(named: name).elementsEqual(values), "\(name)")
        }
    }

    @Test func nearestIsWhatFakeQuantizationComputes() throws {
        for format in [QuantizationFormat.mxfp4, .nvfp4, .fp8PerTensor] {
            let (parameters, _, ranges) = try quantize(.max, format, calibrated: false)
            #expect(ranges == nil)
            let simulated = try SmallModel.make()
            try simulated.fakeQuantize(
                by: QuantizationRecipe(
                    defaultFormat: format,
                    rules: [.init(pattern: "*embed_tokens", format: .mxfp8)]
                ),
                team: SmallModel.team
            )
            #expect(simulated.storage.elements.elementsEqual(parameters.storage.elements))
        }
    }

    @Test func gptqLosesLessThanRoundingToNearest() throws {
        let nearest = try divergence(quantize(.max).0)
        let searched = try divergence(quantize(.init(rounding: .nearest(.mse))).0)
        let gptq = try divergence(quantize(.init(rounding: .gptq(GPTQ()))).0)
        #expect(nearest > 0)
        #expect(gptq < searched)
        #expect(gptq < nearest)
    }

    @Test func fusedModulesShareTheirTensorScale() throws {
        let (_, stored, _) = try quantize(.init(rounding: .gptq(GPTQ())), .nvfp4)
        func scale(_ module: LinearModule) -> Float? {
            stored[module.name(layer: 1) + ".weight"]?.globalScale
        }
        #expect(scale(.query) != nil)
        #expect(scale(.query) == scale(.key) && scale(.key) == scale(.value))
        #expect(scale(.gate) == scale(.up))
        #expect(scale(.query) != scale(.output))
    }

    @Test func recordsTheRangesOfActivations() throws {
        let ranges = try #require(try quantize(.max).2)
        #expect(ranges.keys.count == 2 && ranges.values.count == 2)
        #expect((ranges.keys + ranges.values).allSatisfy { $0 > 0 && $0.isFinite })
        #expect(ranges.inputs.count == 14)
        let query = ranges.inputs["model.layers.0.self_attn.q_proj"]
        #expect(query == ranges.inputs["model.layers.0.self_attn.v_proj"])
        #expect(query != ranges.inputs["model.layers.0.self_attn.o_proj"])
    }

    @Test func whatNeedsTextSaysSo() {
        #expect(throws: TransformerError.self) {
            try quantize(.init(rounding: .gptq(GPTQ())), calibrated: false)
        }
    }
}
