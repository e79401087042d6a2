internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

struct GGUFTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    @Test(arguments: [true, false])
    func readsWhatTheConverterWrites(tied: Bool) throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make(tied: tied)
        let path = try folder.write(GGUFBuilder.llama(model).build(), "m.gguf")
        let read = try ModelLoader.load(path: path, team: Self.team)
        #expect(read.configuration == model.configuration)
        #expect(
            read.parameters.storage.elements.elementsEqual(model.parameters.storage.elements)
        )
        let text = "Don't panic: 42 <|im_end|> ok"
        #expect(read.tokenizer.encode(text) == model.tokenizer.encode(text))
        #expect(read.storedByteCount == model.parameters.storage.count * 4)
    }

    /// One block of each type and its values, computed from the layouts by hand.
    @Test func dequantizesEveryType() {
        func values(_ type: GGUFTensorType, _ bytes: [UInt8]) -> [Float] {
            var output = [Float](repeating: .nan, count: type.blockSize)
            bytes.withUnsafeBytes { type.dequantize($0, into: &output) }
            return output
        }
        let half: [UInt8] = [0x00, 0x38]  // 0.5
        let two: [UInt8] = [0x00, 0x40]
        #expect(values(.f32, [0, 0, 0x80, 0x3F]) == [1])
        #expect(values(.f16, [0x00, 0xBC]) == [-1])
        #expect(values(.f16, [0x01, 0x00]) == [0x1p-24])
        #expect(values(.bf16, [0x80, 0x3F]) == [1])
        let codes = (0..<16).map { UInt8($0) | UInt8(15 - $0) << 4 }
        let rising = (0..<16).map { Float($0) }
        let all = rising + rising.reversed()
        #expect(values(.q4_0, half + codes) == all.map { ($0 - 8) / 2 })
        #expect(values(.q4_1, half + two + codes) == all.map { $0 / 2 + 2 })
        let numbers = (0..<32).map { $0 - 16 }
        let bytes = numbers.map { UInt8(bitPattern: Int8($0)) }
        #expect(values(.q8_0, half + bytes) == numbers.map { Float($0) / 2 })
        // Q6_K: all codes 33 (low nibble 1, high pair 2), group scales 1...16, scale 0.5.
        let low = [UInt8](repeating: 0x11, count: 128)
        let high = [UInt8](repeating: 0b1010_1010, count: 64)
        let scales = (1...16).map { UInt8($0) }
        let expected = (0..<256).map { Float($0 / 16 + 1) / 2 }
        #expect(values(.q6_K, low + high + scales + half) == expected)
    }

    private struct KQuant: Decodable {
        let bytes: String
        let bits: [UInt32]
    }

    private struct KQuants: Decodable {
        let Q4_K: KQuant
        let Q5_K: KQuant
        let Q6_K: KQuant
    }

    /// Against the `gguf` package; see `Fixtures/make_kquant_fixtures.py`.
    @Test func dequantizesKQuantsAsTheReferenceDoes() throws {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let fixture = try JSONDecoder().decode(
            KQuants.self,
            from: try Data(contentsOf: folder.appending(path: "kquants.json"))
        )
        let cases = [
            (GGUFTensorType.q4_K, fixture.Q4_K), (.q5_K, fixture.Q5_K), (.q6_K, fixture.Q6_K),
        ]
        for (type, kquant) in cases {
            let digits = Array(kquant.bytes)
            let bytes = try stride(from: 0, to: digits.count, by: 2).map {
                try #require(UInt8(String(digits[$0...$0 + 1]), radix: 16))
            }
            #expect(bytes.count == 3 * type.blockByteCount && kquant.bits.count == 3 * 256)
            var output = [Float](repeating: .nan, count: kquant.bits.count)
            bytes.withUnsafeBytes { type.dequantize($0, into: &output) }
            #expect(output.map(\.bitPattern) == kquant.bits, "\(type)")
        }
    }

    @Test func everyTruncationIsRefusedWithOneLine() throws {
        let folder = try TemporaryFolder()
        let whole = GGUFBuilder.llama(try TinyModel.make()).build()
        var random = SplitMix64(seed: 7)
        let cuts =
            Array(0..<64) + (0..<120).map { _ in random.below(whole.count) } + [whole.count - 1]
        for cut in cuts {
            let path = try folder.write(Array(whole.prefix(cut)), "cut.gguf")
            let error = #expect(throws: ModelFileError.self) {
                try ModelLoader.load(path: path, team: Self.team)
            }
            #expect(error?.message.hasPrefix(path) == true)
            #expect(error?.message.contains("\n") == false)
        }
    }

    @Test func damagedFilesNeverCrash() throws {
        let folder = try TemporaryFolder()
        let whole = GGUFBuilder.llama(try TinyModel.make()).build()
        let seed = UInt64.random(in: 0 ... .max)
        print("GGUF fuzz seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0..<1 + random.below(8) {
                // Most of the structure stands at the front.
                let limit = random.below(2) == 0 ? 2048 : bytes.count
                bytes[random.below(min(limit, bytes.count))] = UInt8(
                    truncatingIfNeeded: random.next()
                )
            }
            let path = try folder.write(bytes, "fuzz.gguf")
            do {
                _ = try ModelLoader.load(path: path, team: Self.team)
            } catch is ModelFileError {
            } catch is TransformerError {
            }
        }
    }

    /// A file of two tensors of 32 bytes at these offsets, after one metadata value.
    private static func twoTensors(
        _ offsets: [UInt64],
        _ metadata: [UInt8] = [],
        keyCount: UInt64 = 0,
        data: Int = 96
    ) -> [UInt8] {
        var bytes =
            GGUFBuilder.little(UInt32(0x4655_4747)) + GGUFBuilder.little(UInt32(3))
            + GGUFBuilder.little(UInt64(offsets.count)) + GGUFBuilder.little(keyCount) + metadata
        for (index, offset) in offsets.enumerated() {
            bytes += GGUFBuilder.text("t\(index)") + GGUFBuilder.little(UInt32(1))
            bytes += GGUFBuilder.little(UInt64(8)) + GGUFBuilder.little(UInt32(0))
            bytes += GGUFBuilder.little(offset)
        }
        bytes += [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
        return bytes + [UInt8](repeating: 0, count: data)
    }

    @Test(
        arguments: [
            ([0, 32], nil), ([64, 0], nil), ([0, 0], "within tensor"), ([32, 32], "within tensor"),
            ([0, 16], "no multiple of 32"), ([0, 96], "truncated"),
            ([0, UInt64.max - 31], "truncated"),
            ([0, 1 << 63], "truncated"), ([1 << 62, 0], "truncated"),
        ] as [([UInt64], String?)]
    )
    func tensorsLieApart(offsets: [UInt64], expected: String?) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.twoTensors(offsets), "x.gguf")
        guard let expected else {
            return #expect(try GGUFFile(path: path).tensors.count == 2)
        }
        let error = #expect(throws: ModelFileError.self) { try GGUFFile(path: path) }
        #expect(error?.message.contains(expected) == true)
    }

    @Test func refusesMetadataThatIsNone() throws {
        let folder = try TemporaryFolder()
        func number<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            GGUFBuilder.little(value)
        }
        func pair(_ type: UInt32, _ value: [UInt8]) -> [UInt8] {
            GGUFBuilder.text("k") + number(type) + value
        }
        let flag = pair(7, [1])
        let alignment = GGUFBuilder.text("general.alignment")
        let array = number(UInt32(9))
        let cases: [(UInt64, [UInt8])] = [
            (2, flag + flag), (1, pair(7, [2])), (1, pair(13, [0])),
            // An array of arrays; arrays, texts and keys that are too long.
            (1, pair(9, array + number(UInt64(1)) + array + number(UInt64(0)))),
            (1, pair(9, number(UInt32(0)) + number(UInt64.max))),
            (1, pair(9, number(UInt32(12)) + number(UInt64(1) << 24))),
            (1, pair(9, number(UInt32(8)) + number(UInt64(1) << 40))),
            (1, pair(8, number(UInt64.max))), (1, pair(8, number(UInt64(1) << 26))),
            (1, number(UInt64(70_000)) + [UInt8](repeating: 65, count: 70_000)),
            (1, alignment + number(UInt32(4)) + number(UInt32(24))),
            (1, alignment + number(UInt32(4)) + number(UInt32(0))),
            (1, alignment + number(UInt32(8)) + GGUFBuilder.text("32")),
        ]
        for (count, metadata) in cases {
            let bytes = Self.twoTensors([0, 32], metadata, keyCount: count)
            let path = try folder.write(bytes, "x.gguf")
            #expect(throws: ModelFileError.self) { try GGUFFile(path: path) }
        }
        let bytes = Self.twoTensors([0, 32], flag, keyCount: 1)
        #expect(try GGUFFile(path: folder.write(bytes, "x.gguf")).metadata["k"] == .boolean(true))
    }

    @Test func absurdSizesAreRefused() throws {
        let folder = try TemporaryFolder()
        let little32 = GGUFBuilder.little(UInt32(0x4655_4747)) + GGUFBuilder.little(UInt32(3))
        for (tensors, keys) in [(UInt64.max, 0), (0, UInt64.max), (1 << 40, 1)]
            as [(UInt64, UInt64)]
        {
            let bytes = little32 + GGUFBuilder.little(tensors) + GGUFBuilder.little(keys)
            let path = try folder.write(bytes, "absurd.gguf")
            #expect(throws: ModelFileError.self) { try GGUFFile(path: path) }
        }
        var builder = GGUFBuilder()
        builder.tensor("huge", shape: [1 << 39, 1 << 39], type: .f32, bytes: [])
        let huge = try folder.write(builder.build(), "huge.gguf")
        #expect(throws: ModelFileError.self) { try GGUFFile(path: huge) }
        let text = try folder.write(Array("not a model".utf8), "text.gguf")
        let error = #expect(throws: ModelFileError.self) { try GGUFFile(path: text) }
        #expect(error?.message.contains("not a GGUF file") == true)
    }

    /// Words of ours that are not known are no default.
    @Test(arguments: [
        ("qat.family", "qwen99", "qat.family is \"qwen99\", no family of llama models"),
        ("qat.family", "gemma2", "qat.family is \"gemma2\", no family of llama models"),
        ("tokenizer.ggml.padding_token_id", "two", "no token's number"),
    ])
    func refusesWordsThatItDoesNotKnow(key: String, value: String, message: String) throws {
        let folder = try TemporaryFolder()
        var builder = GGUFBuilder.llama(try TinyModel.make())
        builder.set(key, value)
        let path = try folder.write(builder.build(), "m.gguf")
        let error = #expect(throws: ModelFileError.self) { try ModelLoader.open(path: path) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    /// Of the families that share llama.cpp's architecture the one that has windows.
    @Test func aWindowMakesALlamaFileMistral() throws {
        let folder = try TemporaryFolder()
        var builder = GGUFBuilder.llama(try TinyModel.make())
        builder.set("llama.attention.sliding_window", 64)
        let path = try folder.write(builder.build(), "m.gguf")
        let model = try ModelLoader.open(path: path).configuration
        #expect(model.architecture.family == "mistral")
        #expect(model.layerAttention.allSatisfy { $0.window == 64 })
    }
}
