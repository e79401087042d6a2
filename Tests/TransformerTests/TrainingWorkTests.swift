internal import Devices
internal import Kernels
internal import Testing

@testable internal import Transformer

@Suite struct TrainingWorkTests {
    /// Hidden 8, MLP 16, two heads of 4 and one for keys and values, 2 layers, 32 tokens, windows of 10.
    ///
    /// A layer's weights are 64 (q) + 32 (k) + 32 (v) + 64 (o) + 3 · 128 (MLP) = 576; with the head of 256 all are 1,408.
    private static func model(layers: Int = 2) -> ModelConfiguration {
        ModelConfiguration(
            vocabularySize: 32,
            hiddenSize: 8,
            intermediateSize: 16,
            layerCount: layers,
            headCount: 2,
            keyValueHeadCount: 1,
            tiedEmbeddings: true
        )
    }

    @Test func operationsAreCountedAsPaLMCountsThem() {
        let alone = TrainingWork(student: Self.model(), teacher: nil, length: 10)
        #expect(alone.operationsPerToken == 6 * 1408 + 12 * 2 * 8 * 10)
        let distilled = TrainingWork(
            student: Self.model(),
            teacher: Self.model(layers: 1),
            length: 10
        )
        let teacher = Double(2 * (576 + 256) + 4 * 1 * 8 * 10)
        #expect(distilled.operationsPerToken == alone.operationsPerToken + teacher)
    }

    @Test(arguments: [OperandPrecision.float32, .bfloat16])
    func productsHaveARate(operands: OperandPrecision) {
        guard operands.isSupported else { return }
        let device = CPUDevice(team: ThreadTeam(threadCount: 1), operands: operands)
        let rate = device.productRate(rows: 32, inputs: 64, outputs: 128)
        // Between a pocket calculator and all machines there are.
        #expect(rate > 1e6 && rate < 1e18)
    }
}
