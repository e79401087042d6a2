internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Models whose matrices are in memory only while they are needed.
@Suite struct LayerResidenceTests {
    private struct Outcome {
        let model: LayerResidence
        let stored: [String: PackedTensor]
        let ranges: ActivationRanges?
        let divergence: DivergenceResult
        let values: [String: [Float]]
    }

    /// `isWhole`: Whether all of the model is in memory.
    private func quantize(
        _ method: PostTrainingMethod,
        rules: [QuantizationRecipe.Rule],
        isWhole: Bool,
        onRead: @escaping (ParameterLayout.Entry) -> Void = { _ in }
    ) throws -> Outcome {
        let source = try SmallModel.make()
        let model =
            try isWhole
            ? LayerResidence(whole: source.copy())
            : LayerResidence(configuration: source.configuration, team: SmallModel.team) {
                onRead($0)
                _ = $1.update(from: source.elements(of: $0))
            }
        let comparison = try LogitDivergence(
            original: model,
            tokens: SmallModel.tokens(128, seed: 77),
            length: 32,
            device: CPUDevice(team: SmallModel.team)
        )
        var stored: [String: PackedTensor] = [:]
        let quantizer = PostTrainingQuantizer(
            recipe: QuantizationRecipe(defaultFormat: .mxfp4, rules: rules),
            method: method,
            team: SmallModel.team
        )
        let ranges = try quantizer.quantize(
            model,
            calibration: try SmallModel.windows(8),
            listener: .init(onResult: { result, _ in stored[result.entry.name] = result.packed })
        )
        var values: [String: [Float]] = [:]
        for entry in source.layout.entries {
            values[entry.name] = try model.with(entry) { Array($0) }
        }
        return Outcome(
            model: model,
            stored: stored,
            ranges: ranges,
            divergence: try comparison.measure(model),
            values: values
        )
    }

    private static let learned = PostTrainingMethod.Rounding.learned(
        LearnedRounding(iterations: 8, windows: 2)
    )

    private static let rules: [[QuantizationRecipe.Rule]] = [
        [], [.init(pattern: "*embed_tokens", format: .mxfp8)],
        [
            .init(pattern: "*q_proj", format: nil), .init(pattern: "*k_proj", format: nil),
            .init(pattern: "*v_proj", format: nil),
        ],
    ]

    /// The same bits, whatever is rounded and however; among them the rows of `v_proj`, which scaled inputs
    /// of `o_proj` change though they are not rounded.
    @Test(
        arguments: [
            PostTrainingMethod.max, .init(rounding: .nearest(.mse)),
            .init(rounding: .gptq(GPTQ(usesActivationOrder: true)), smoothing: .activationAware),
            .init(rounding: .nearest(.max), smoothing: .smoothQuant(migration: 0.5)),
            .init(rounding: learned), .init(rounding: learned, smoothing: .activationAware),
        ],
        Self.rules
    )
    func partsGiveTheBitsOfTheWhole(
        method: PostTrainingMethod,
        rules: [QuantizationRecipe.Rule]
    ) throws {
        let whole = try quantize(method, rules: rules, isWhole: true)
        let parts = try quantize(method, rules: rules, isWhole: false)
        #expect(parts.stored == whole.stored && !parts.stored.isEmpty)
        #expect(parts.ranges == whole.ranges)
        #expect(parts.divergence == whole.divergence)
        #expect(parts.values == whole.values)
    }

    /// A layer is read where it is needed: once to run the original, once to round it, and never again.
    @Test func everyMatrixIsReadOnceForEachPass() throws {
        final class Reads: @unchecked Sendable { var counts: [String: Int] = [:] }
        let reads = Reads()
        _ = try quantize(.init(rounding: .gptq(GPTQ())), rules: [], isWhole: false) { entry in
            reads.counts[entry.name, default: 0] += 1
        }
        #expect(reads.counts["model.layers.1.mlp.down_proj.weight"] == 2)
        #expect(reads.counts["model.layers.0.input_layernorm.weight"] == 1)
    }

    /// What was given back is gone: Linux fills it with zeros.
    @Test func matricesAreGivenBack() throws {
        let parts = try quantize(.init(rounding: .gptq(GPTQ())), rules: [], isWhole: false)
        let parameters = parts.model.parameters
        for entry in parameters.layout.entries where entry.shape.count > 1 {
            let values = parameters.elements(of: entry)
            let given = values.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
            #if os(Linux)
                // But for the pages that it shares with its neighbours.
                #expect(given >= entry.count - 2 * 4096 / 4, "\(entry.name)")
            #endif
        }
    }
}
