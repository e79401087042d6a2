internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// GGUF's block types against llama.cpp's own reader; see `Fixtures/make_quantized_blocks.py`.
struct QuantizedBlockTests {
    private struct Sample: Decodable {
        let bytes: String
        let values: [UInt32]
    }

    @Test(arguments: ["q4_0", "q4_1", "q8_0", "q4_K", "q5_K", "q6_K", "mxfp4"])
    func dequantizesAsLlamaCppDoes(name: String) throws {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let samples = try JSONDecoder().decode(
            [String: Sample].self,
            from: Data(contentsOf: folder.appending(path: "quantized_blocks.json"))
        )
        let sample = try #require(samples[name.uppercased()])
        let type = try #require(GGUFTensorType.allCases.first { "\($0)" == name })
        let digits = Array(sample.bytes.utf8)
        let bytes = try stride(from: 0, to: digits.count, by: 2).map { index in
            try #require(
                UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
            )
        }
        #expect(bytes.count == 3 * type.blockByteCount)
        #expect(sample.values.count == 3 * type.blockSize)
        var values = [Float](repeating: 0, count: sample.values.count)
        bytes.withUnsafeBytes { type.dequantize($0, into: &values) }
        for (value, bits) in zip(values, sample.values) {
            let expected = Float(bitPattern: bits)
            // Products of the same factors in another order: an ulp or two.
            #expect(abs(value - expected) <= 4e-7 * max(abs(expected), 1), "\(name)")
        }
    }
}
