internal import Formats
internal import Testing

@Suite struct QuantizationFormatTests {
    /// Bits per weight and bytes of `[2, 64]`: codes, a byte per block of 32 or 16, 4 bytes per FP32
    /// scale.
    @Test func formatsCountTheirBits() {
        #expect(QuantizationFormat.mxfp4.bitsPerWeight == 4.25)
        #expect(QuantizationFormat.nvfp4.bitsPerWeight == 4.5)
        #expect(QuantizationFormat.mxfp6E2M3.bitsPerWeight == 6.25)
        #expect(QuantizationFormat.mxfp4.storedByteCount(rows: 2, columns: 64) == 64 + 4)
        #expect(QuantizationFormat.nvfp4.storedByteCount(rows: 2, columns: 64) == 64 + 8 + 4)
        #expect(QuantizationFormat.fp8PerChannel.storedByteCount(rows: 2, columns: 64) == 128 + 8)
    }

    @Test(arguments: [
        ("fp8", QuantizationFormat.mxfp8), ("fp6", .mxfp6E2M3), ("fp4", .mxfp4),
        ("mxfp6_e3m2", .mxfp6E3M2), ("mxint8", .mxint8), ("mxfp8_e5m2", .mxfp8E5M2),
        ("nvfp4", .nvfp4), ("fp8_per_tensor", .fp8PerTensor), ("fp8_per_channel", .fp8PerChannel),
    ])
    func wordsNameFormats(word: String, format: QuantizationFormat) throws {
        #expect(try QuantizationFormat.named(word) == format)
    }

    @Test func everyNameReadsBack() throws {
        #expect(QuantizationFormat.names.count == 3 + 24)
        for format in QuantizationFormat.all {
            #expect(try QuantizationFormat.named(format.name) == format)
            #expect(QuantizationFormat.names.contains(format.name))
        }
    }

    @Test(arguments: ["mxfp5", "MXFP4", "", "None", "fp4 ", "int4"])
    func aMisspeltNameIsNotUnquantized(word: String) throws {
        #expect(try QuantizationFormat.named("none") == nil)
        let error = #expect(throws: FormatError.self) { try QuantizationFormat.named(word) }
        #expect(error?.code == .unknownFormat)
        #expect(error?.message.contains("\"\(word)\"") == true)
    }

    @Test func perTensorKeepsElementsAndRules() {
        var format = QuantizationFormat.mxfp4
        format.tieRule = .away
        #expect(format.perTensor.name == "fp4_per_tensor")
        #expect(format.perTensor.tieRule == .away)
        #expect(QuantizationFormat.fp8PerChannel.perTensor == .fp8PerTensor)
    }
}
