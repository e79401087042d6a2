internal import Formats
internal import Testing

@Suite struct FormatPrecisionTests {
    /// From the least precise on, as the definition has it: element bits, mantissa bits, elements per
    /// scale, kind of scale.
    private static let ascending: [QuantizationFormat?] = [
        .init(element: .e2m1, scaleKind: .perTensor), .init(element: .e2m1, scaleKind: .perChannel),
        .init(element: .e2m1, blockSize: 64), .mxfp4, .init(element: .e2m1, blockSize: 16), .nvfp4,
        .init(element: .e2m1, blockSize: 8), .mxfp6E3M2, .mxfp6E2M3,
        .init(element: .e2m3, blockSize: 16), .mxfp8E5M2, .fp8PerTensor, .fp8PerChannel, .mxfp8,
        .init(element: .e4m3, scaleKind: .e4m3TwoLevel), .mxint8, nil,
    ]

    @Test func orderIsByBitsThenMantissaThenBlockThenScale() {
        for (index, lower) in Self.ascending.enumerated() {
            for higher in Self.ascending[(index + 1)...] {
                let names = "\(lower?.name ?? "none") \(higher?.name ?? "none")"
                #expect(FormatPrecision(lower) < FormatPrecision(higher), "\(names)")
                #expect(!(FormatPrecision(higher) < FormatPrecision(lower)), "\(names)")
                #expect(QuantizationFormat.morePrecise(lower, higher) == higher, "\(names)")
                #expect(QuantizationFormat.morePrecise(higher, lower) == higher, "\(names)")
            }
        }
    }

    @Test func roundingRulesDoNotCountAndTheFirstOfEqualsStays() {
        var other = QuantizationFormat.mxfp4
        other.tieRule = .away
        #expect(QuantizationFormat.morePrecise(.mxfp4, other) == .mxfp4)
        #expect(QuantizationFormat.morePrecise(other, .mxfp4) == other)
        #expect(FormatPrecision(nil) == FormatPrecision(nil))
    }
}
