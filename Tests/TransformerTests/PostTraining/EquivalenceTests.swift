internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// What is done before rounding leaves the model computing the same.
struct EquivalenceTests {
    /// Float32 sums in another order: a few ulps of losses around 5.
    private static let tolerance = 2e-5

    @Test(arguments: [true, false])
    func rotationKeepsTheModel(tied: Bool) throws {
        let original = try SmallModel.make(tied: tied)
        let loss = try SmallModel.loss(original)
        let rotated = try BlockRotation.rotated(original)
        #expect(BlockRotation.blockSize(original.configuration) == 16)
        #expect(!rotated.configuration.tiedEmbeddings)
        #expect(abs(try SmallModel.loss(rotated) - loss) <= Self.tolerance)
        // It is a rotation, not a copy, and norms have gone into the layers.
        let query = "model.layers.1.self_attn.q_proj.weight"
        let before = try original.elements(named: query)
        #expect(!(try rotated.elements(named: query)).elementsEqual(before))
        #expect(try rotated.elements(named: "model.norm.weight").allSatisfy { $0 == 1 })
        #expect(abs(try SmallModel.loss(original) - loss) == 0, "the original is left alone")
    }

    @Test(arguments: [LinearModule.query, .output, .gate, .down])
    func smoothingKeepsTheModel(group: LinearModule) throws {
        let parameters = try SmallModel.make()
        let loss = try SmallModel.loss(parameters)
        let windows = try SmallModel.windows()
        let pass = try LayerwisePass(
            parameters: parameters,
            windows: windows,
            device: CPUDevice(team: SmallModel.team)
        )
        let inputs = try #require(try pass.observe(layer: 0)[group])
        let smoothing = ChannelSmoothing(
            parameters: parameters,
            layer: 0,
            team: SmallModel.team
        )
        let scales = smoothing.smoothQuantScales(group, inputs: inputs, migration: 0.5)
        let weights = try parameters.elements(named: group.name(layer: 0) + ".weight").map { $0 }
        smoothing.fold(scales, into: group, inputs: inputs)
        #expect(abs(try SmallModel.loss(parameters) - loss) <= Self.tolerance)
        #expect(
            !(try parameters.elements(named: group.name(layer: 0) + ".weight"))
                .elementsEqual(weights)
        )
    }

    @Test func salientChannelsAreScaledUp() throws {
        let parameters = try SmallModel.make()
        let norm = try parameters.elements(
            named: "model.layers.0.post_attention_layernorm.weight"
        )
        norm[5] = 60
        let pass = try LayerwisePass(
            parameters: parameters,
            windows: try SmallModel.windows(),
            device: CPUDevice(team: SmallModel.team)
        )
        let inputs = try #require(try pass.observe(layer: 0)[.gate])
        let smoothing = ChannelSmoothing(parameters: parameters, layer: 0, team: SmallModel.team)
        let scales = try smoothing.activationAwareScales(
            .gate,
            format: .nvfp4,
            search: .max,
            inputs: inputs
        )
        #expect(scales[5] == scales.max())
        #expect(scales[5] > 1.5)
    }

    /// What AWQ chooses is measured under the rounding that follows: no worse there than what it chooses
    /// under another one, and better somewhere.
    @Test func scalesAreChosenForTheRoundingThatFollows() throws {
        let parameters = try SmallModel.make()
        let pass = try LayerwisePass(
            parameters: parameters,
            windows: try SmallModel.windows(),
            device: CPUDevice(team: SmallModel.team)
        )
        let smoothing = ChannelSmoothing(parameters: parameters, layer: 0, team: SmallModel.team)
        let observed = try pass.observe(layer: 0)
        var gains: [Double] = []
        for group in parameters.configuration.inputGroups {
            let inputs = try #require(observed[group])
            let entries = parameters.layout.entries(sharingInputOf: group, layer: 0)
            func scales(_ search: ScaleSearch) throws -> [Float] {
                try smoothing.activationAwareScales(
                    group,
                    format: .mxfp4,
                    search: search,
                    inputs: inputs
                )
            }
            let (own, other) = (try scales(.mse), try scales(.max))
            let errors = try [own, other].map {
                try outputError(entries, parameters, inputs, scales: $0)
            }
            #expect(errors[0] <= errors[1] * (1 + 1e-4), "\(group)")
            gains.append(errors[1] / errors[0])
        }
        #expect((gains.max() ?? 0) > 1.01)
    }

    /// `Σ d · M · dᵀ` in double precision, of weights rounded by least squared error weighted by the
    /// inputs' mean squares.
    private func outputError(
        _ entries: [ParameterLayout.Entry],
        _ parameters: Parameters,
        _ inputs: LayerwisePass.Inputs,
        scales: [Float]
    ) throws -> Double {
        let width = scales.count
        let moments = inputs.moments.host.pointer
        var sum = 0.0
        for entry in entries {
            let weight = parameters.elements(of: entry)
            var rounded = weight.indices.map { weight[$0] * scales[$0 % width] }
            _ = try rounded.withUnsafeMutableBufferPointer {
                try WeightRounding.round(
                    $0,
                    columns: width,
                    format: .mxfp4,
                    search: .mse,
                    importance: scales.indices.map {
                        moments[$0 * width + $0] / (scales[$0] * scales[$0])
                    },
                    team: SmallModel.team
                )
            }
            let change = weight.indices.map {
                Double(weight[$0]) - Double(rounded[$0]) / Double(scales[$0 % width])
            }
            for row in stride(from: 0, to: entry.count, by: width) {
                for i in 0..<width {
                    for j in 0..<width {
                        sum += change[row + i] * change[row + j] * Double(moments[i * width + j])
                    }
                }
            }
        }
        return sum
    }

    @Test func foldedMomentsAreThoseOfTheFoldedModel() throws {
        let parameters = try SmallModel.make()
        let windows = try SmallModel.windows()
        let pass = try LayerwisePass(
            parameters: parameters,
            windows: windows,
            device: CPUDevice(team: SmallModel.team)
        )
        let inputs = try #require(try pass.observe(layer: 0)[.gate])
        let smoothing = ChannelSmoothing(parameters: parameters, layer: 0, team: SmallModel.team)
        smoothing.fold(
            smoothing.smoothQuantScales(.gate, inputs: inputs, migration: 0.5),
            into: .gate,
            inputs: inputs
        )
        let folded = Array(inputs.moments.host.elements)
        let amax = Array(inputs.amax.host.elements)
        let observed = try #require(try pass.observe(layer: 0)[.gate])
        for (a, b) in zip(folded, observed.moments.host.elements) {
            #expect(abs(a - b) <= 1e-3 + 1e-3 * abs(b))
        }
        for (a, b) in zip(amax, observed.amax.host.elements) {
            #expect(abs(a - b) <= 1e-4 * abs(b))
        }
    }

    @Test func smoothQuantFollowsItsFormula() throws {
        let parameters = try SmallModel.make()
        let pass = try LayerwisePass(
            parameters: parameters,
            windows: try SmallModel.windows(),
            device: CPUDevice(team: SmallModel.team)
        )
        let inputs = try #require(try pass.observe(layer: 0)[.down])
        let smoothing = ChannelSmoothing(parameters: parameters, layer: 0, team: SmallModel.team)
        let scales = smoothing.smoothQuantScales(.down, inputs: inputs, migration: 0.5)
        let entry = parameters.layout.entry(of: .down, layer: 0)
        let weight = parameters.elements(of: entry)
        // Ratios, since scales are normalized around 1.
        func raw(_ channel: Int) -> Float {
            let column = (0..<entry.rows).map { abs(weight[$0 * entry.columns + channel]) }
            return (inputs.amax.host.pointer[channel] / (column.max() ?? 1)).squareRoot()
        }
        for channel in 1..<entry.columns {
            let expected = raw(channel) / raw(0)
            #expect(abs(scales[channel] / scales[0] - expected) <= 1e-3 * expected)
        }
    }
}
