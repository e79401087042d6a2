internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Training under NVFP4 blocks that choose between 6 and 4.
struct FourOverSixTrainingTests {
    /// Every step's loss is that of the model as it would be stored, whatever the step changed.
    @Test func whatIsSimulatedIsWhatIsStored() throws {
        let team = ThreadTeam(threadCount: 2)
        var format = QuantizationFormat.nvfp4
        format.scaleMode = .fourOverSix
        let recipe = QuantizationRecipe(defaultFormat: format)
        let parameters = try Parameters.random(
            configuration: tinyConfiguration(),
            seed: 5,
            deviation: 0.1
        )
        func engine(_ model: Parameters, _ recipe: QuantizationRecipe) throws -> TrainingEngine {
            try TrainingEngine(
                parameters: model,
                teacher: nil,
                settings: .init(recipe: recipe, batchSize: 2, length: 16),
                isFrozen: { _ in false },
                device: CPUDevice(team: team)
            )
        }
        let tokens: [Int32] = (0..<32).map { Int32(($0 * 7 + $0 / 5) % 16) }
        let training = try engine(try parameters.copy(), recipe)
        var fours = 0
        for step in 0..<3 {
            let stored = try training.parameters.copy()
            for weight in try stored.quantizations(by: recipe, team: team) {
                let packed = try weight.quantize()
                let plain = try BlockQuantizer.quantize(
                    UnsafeBufferPointer(stored.elements(of: weight.entry)),
                    rows: weight.entry.rows,
                    columns: weight.entry.columns,
                    format: .nvfp4,
                    amax: packed.globalScale.map { $0 * 2688 },
                    team: team
                )
                fours += packed.scales == plain.scales ? 0 : 1
                try BlockQuantizer.dequantize(
                    packed,
                    into: stored.elements(of: weight.entry),
                    team: team
                )
            }
            let expected = try engine(stored, .none).step(
                tokens: tokens,
                learningRate: 0,
                progress: 0
            )
            let found = try training.step(tokens: tokens, learningRate: 1e-2, progress: 0)
            #expect(found.loss == expected.loss, "step \(step)")
        }
        #expect(fours > 0)
    }
}
