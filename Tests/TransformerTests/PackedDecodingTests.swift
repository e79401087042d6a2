internal import Devices
internal import Formats
internal import Kernels
internal import Quantization
internal import Testing

@testable internal import Transformer

/// Generation from packed weights.
struct PackedDecodingTests {
    private static let formats = QuantizationFormat.all.filter {
        $0.element != .int8 || $0 == .mxint8
    }

    private static func generator(
        _ parameters: Parameters,
        chunk: Int = 16,
        threads: Int = 2
    ) throws -> Generator {
        try Generator(
            parameters: parameters,
            capacity: 64,
            chunk: chunk,
            device: CPUDevice(team: ThreadTeam(threadCount: threads))
        )
    }

    /// Greedy tokens, and by how much each one's logit is above the next.
    private static func greedy(
        _ parameters: Parameters,
        _ prompt: [Int32],
        count: Int
    ) throws -> [(token: Int32, margin: Float)] {
        let generator = try generator(parameters)
        try generator.append(prompt)
        return try (0..<count).map { _ in
            let token = generator.sample(SamplingOptions())
            let logits = generator.lastLogits
            let others = logits.indices.filter { $0 != Int(token) }.map { logits[$0] }
            try generator.append([token])
            return (token, logits[Int(token)] - (others.max() ?? 0))
        }
    }

    /// Sums have another order than OpenBLAS's, so that a near tie may be another token: no margin here is
    /// anywhere near that.
    @Test(arguments: formats)
    func tokensAreThoseOfDequantizedWeights(format: QuantizationFormat) throws {
        let recipe = QuantizationRecipe(defaultFormat: format)
        let whole = try SmallModel.make(tied: format.blockSize != 16)
        let packed = try whole.packed(by: recipe, team: SmallModel.team)
        try whole.fakeQuantize(by: recipe, team: SmallModel.team)
        for seed in UInt64(1)...4 {
            let prompt = SmallModel.tokens(9, seed: seed)
            let expected = try Self.greedy(whole, prompt, count: 32)
            let found = try Self.greedy(packed, prompt, count: 32)
            #expect(found.map(\.token) == expected.map(\.token), "\(format.name), prompt \(seed)")
        }
    }

    /// On any number of threads, the same bits.
    @Test func logitsDoNotDependOnThreads() throws {
        let parameters = try SmallModel.make().packed(
            by: QuantizationRecipe(defaultFormat: .nvfp4),
            team: SmallModel.team
        )
        let prompt = SmallModel.tokens(40)
        func logits(threads: Int) throws -> [UInt32] {
            let generator = try Self.generator(parameters, threads: threads)
            try generator.append(prompt)
            return generator.lastLogits.map(\.bitPattern)
        }
        let expected = try logits(threads: 1)
        for threads in 2...4 { #expect(try logits(threads: threads) == expected, "\(threads)") }
    }

    @Test func packedWeightsTakeWhatTheirFormatDoes() throws {
        let whole = try SmallModel.make(tied: false)
        let packed = try whole.packed(
            by: QuantizationRecipe(defaultFormat: .mxfp4),
            team: SmallModel.team
        )
        #expect(!packed.isWhole)
        var expected = 0
        for entry in packed.layout.entries {
            guard let weight = packed.packedWeight(entry) else {
                #expect(entry.shape.count == 1, "\(entry.name)")
                expected += 4 * entry.count
                continue
            }
            let isLinear = packed.layout.module(of: entry) != nil
            #expect(
                weight.layout.element == (isLinear ? .narrow(.e2m1) : .float32),
                "\(entry.name)"
            )
            expected += weight.layout.byteCount
        }
        #expect(packed.residentByteCount == expected)
    }

    @Test func aRecipeDoesNotRoundPackedWeights() throws {
        let recipe = QuantizationRecipe(defaultFormat: .mxfp4)
        let packed = try SmallModel.make().packed(by: recipe, team: SmallModel.team)
        let error = #expect(throws: TransformerError.self) {
            try LayerWeights(
                parameters: packed,
                recipe: recipe,
                device: CPUDevice(team: SmallModel.team)
            )
        }
        #expect(error?.message.contains("model.layers.0.self_attn.q_proj.weight") == true)
    }
}
