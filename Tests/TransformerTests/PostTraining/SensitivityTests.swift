internal import Devices
internal import Formats
internal import Kernels
internal import Testing

@testable internal import Transformer

struct SensitivityTests {
    private static let formats: [QuantizationFormat] = [.mxfp4, .mxfp6E2M3, .mxfp8]

    @Test(arguments: SensitivityMeasure.allCases)
    func widerFormatsCostLessAndTheModelStays(measure: SensitivityMeasure) throws {
        let parameters = try SmallModel.make()
        let before = Array(parameters.storage.elements)
        var told: [Int] = []
        let found = try SensitivityAnalysis(
            parameters: parameters,
            candidates: Self.formats,
            team: SmallModel.team
        ).run(
            measure,
            calibration: try SmallModel.windows(),
            divergence: nil,
            isIncluded: { !$0.hasSuffix("down_proj") },
            onGroup: { done, total in
                told.append(done)
                #expect(total == 18)
            }
        )
        #expect(found.count == 6)
        #expect(told.last == 18)
        #expect(
            found[0].modules.map { $0.split(separator: ".").last } == [
                "q_proj", "k_proj", "v_proj",
            ]
        )
        for group in found {
            let errors = group.candidates.map(\.error)
            #expect(errors[0] > errors[1])
            #expect(errors.allSatisfy { $0 >= 0 && $0.isFinite })
            #expect(
                group.candidates.map(\.bitCount)
                    == [4.25, 6.25, 8.25].map {
                        $0 * Double(group.weightCount)
                    }
            )
        }
        #expect(parameters.storage.elements.elementsEqual(before))
    }

    @Test func resumedPassesMeasureWhatFullOnesDo() throws {
        let parameters = try SmallModel.make()
        let comparison = try LogitDivergence(
            original: parameters,
            tokens: SmallModel.tokens(64),
            length: 16,
            device: CPUDevice(team: SmallModel.team)
        )
        let entry = parameters.layout.entry(of: .down, layer: 1)
        let values = parameters.elements(of: entry)
        let original = Array(values)
        var resumed: [Double] = []
        try comparison.measure(
            parameters,
            variants: [
                (
                    layer: 1, change: { for index in values.indices { values[index] *= 1.5 } },
                    undo: { _ = values.update(fromContentsOf: original) }
                )
            ]
        ) { resumed.append($1.klDivergence) }
        #expect(values.elementsEqual(original))
        for index in values.indices { values[index] *= 1.5 }
        let full = try comparison.measure(parameters).klDivergence
        #expect(full > 0)
        #expect(resumed == [full])
    }

    @Test func theOriginalDivergesByNothing() throws {
        let parameters = try SmallModel.make()
        let comparison = try LogitDivergence(
            original: parameters,
            tokens: SmallModel.tokens(40),
            length: 16,
            device: CPUDevice(team: SmallModel.team)
        )
        let result = try comparison.measure(parameters)
        #expect(result.tokenCount == 32)
        #expect(abs(result.klDivergence) <= 1e-7)
        #expect(throws: TransformerError.self) {
            try LogitDivergence(
                original: parameters,
                tokens: [1, 2, 96],
                length: 3,
                device: CPUDevice(team: SmallModel.team)
            )
        }
    }
}
