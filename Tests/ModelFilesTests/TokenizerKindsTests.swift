internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Every kind of tokenizer against the public libraries, by digest: on all code points and on 100,000
/// fuzzed texts; see `Fixtures/make_tokenizer_kinds.py`, which also shows what a text should become.
struct TokenizerKindsTests {
    private struct Digests: Decodable {
        struct Kind: Decodable {
            /// Eight digits for each 1000 texts.
            let fuzz: String
            /// The same for what the first 10,000 decode to; empty where that is not compared.
            let decoded: String
            /// Eight digits for each 4096 code points.
            let points: String
        }

        let seed: UInt64
        /// What fuzzed texts are made of.
        let alphabets: [[String]]
        let kinds: [String: Kind]
    }

    private static let kinds = [
        "smollm3", "llama3", "qwen2", "starcoder2", "deepseek-llm", "deepseek-coder", "deepseek-v3",
        "gpt-4o", "tekken", "bailing", "exaone", "digit-groups", "roberta", "added", "added-nfd",
        "added-nfkd", "llama2", "mistral", "metaspace", "gemma", "phi3", "unknown",
        "unknown-dropped", "some-bytes", "previous", "next", "spm-llama", "spm-gemma",
        "spm-unknown",
    ]

    private static let digests: Result<Digests, any Error> = Result {
        try JSONDecoder().decode(
            Digests.self,
            from: Data(contentsOf: folder().appending(path: "tokenizer-digests.json"))
        )
    }

    private static func folder() throws -> URL {
        try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
    }

    private static func tokenizer(_ kind: String) throws -> Tokenizer {
        if kind.hasPrefix("spm-") {
            let url = try folder().appending(path: "tokenizer-\(kind).model")
            return try SentencePieceModel([UInt8](Data(contentsOf: url)), path: kind).tokenizer()
        }
        let url = try folder().appending(path: "tokenizer-\(kind).json")
        return try Tokenizer(tokenizerJSON: [UInt8](Data(contentsOf: url)), path: kind)
    }

    @Test func everyKindOfTheFixturesIsTested() throws {
        #expect(try Set(Self.digests.get().kinds.keys) == Set(Self.kinds))
    }

    @Test(arguments: kinds)
    func encodesAllCodePointsAsTheLibrary(kind: String) throws {
        let tokenizer = try Self.tokenizer(kind)
        let expected = try #require(Self.digests.get().kinds[kind]).points
        for start in stride(from: UInt32(0), to: 0x110000, by: 4096) {
            var digest = Digest()
            for block in stride(from: start, to: start + 4096, by: 64) {
                let parts = (block..<block + 64).compactMap(Unicode.Scalar.init).map {
                    "a\($0)b \($0)1"
                }
                digest.add(tokenizer.encode(parts.joined(separator: "\n")))
            }
            let hex = String(start, radix: 16)
            #expect(
                digest.text == Self.part(expected, Int(start) / 4096),
                "\(kind): code points from 0x\(hex); see make_tokenizer_kinds.py \(kind) points N"
            )
        }
    }

    @Test(arguments: kinds)
    func encodesFuzzedTextsAsTheLibrary(kind: String) throws {
        let tokenizer = try Self.tokenizer(kind)
        let digests = try Self.digests.get()
        let expected = try #require(digests.kinds[kind])
        for start in stride(from: 0, to: 100_000, by: 1000) {
            var digest = Digest()
            var decoded = Digest()
            let decodes = start < 10_000 && !expected.decoded.isEmpty
            for index in start..<start + 1000 {
                let text = Self.text(index, digests.alphabets, seed: digests.seed)
                let ids = tokenizer.encode(text, addingSpecialTokens: true)
                digest.add(ids)
                if decodes { decoded.add(tokenizer.decode(ids).utf8.map { Int32($0) }) }
            }
            let place = "\(kind): seed \(digests.seed), texts from \(start); "
            #expect(
                digest.text == Self.part(expected.fuzz, start / 1000),
                "\(place)see make_tokenizer_kinds.py \(kind) fuzz N"
            )
            if decodes {
                #expect(
                    decoded.text == Self.part(expected.decoded, start / 1000),
                    "\(place)decoded"
                )
            }
        }
    }

    // With a space before a text and pieces that the user defined there is no tokenizer.json.
    @Test func refusesToWriteWhatNoFileHolds() throws {
        let tokenizer = try Self.tokenizer("spm-unknown")
        #expect(throws: ModelFileError.self) { try TokenizerJSON.render(tokenizer) }
    }

    @Test(arguments: kinds.filter { $0 != "spm-unknown" })
    func survivesBeingWritten(kind: String) throws {
        let digests = try Self.digests.get()
        let tokenizer = try Self.tokenizer(kind)
        let again = try Tokenizer(tokenizerJSON: try TokenizerJSON.render(tokenizer))
        for index in 0..<2000 {
            let text = Self.text(index, digests.alphabets, seed: digests.seed)
            #expect(
                again.encode(text, addingSpecialTokens: true)
                    == tokenizer.encode(text, addingSpecialTokens: true),
                "\(kind), text \(index)"
            )
        }
    }

    private static func part(_ text: String, _ index: Int) -> String {
        String(decoding: text.utf8.dropFirst(8 * index).prefix(8), as: UTF8.self)
    }

    private static func text(_ index: Int, _ alphabets: [[String]], seed: UInt64) -> String {
        var generator = SplitMix64(seed &+ UInt64(index) << 16)
        let chosen = (0..<1 + generator.below(4)).map { _ in
            alphabets[generator.below(alphabets.count)]
        }
        var text = ""
        for _ in 0..<generator.below(25) {
            let alphabet = chosen[generator.below(chosen.count)]
            text += alphabet[generator.below(alphabet.count)]
        }
        return text
    }
}

/// Sebastiano Vigna's generator, as the script has it.
private struct SplitMix64 {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(bound))
    }
}

/// CRC-32 of lists of numbers, each list closed by FFFFFFFF.
private struct Digest {
    private var value = ~UInt32(0)

    private static let table: [UInt32] = (UInt32(0)..<256).map { byte in
        (0..<8).reduce(byte) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }

    mutating func add(_ numbers: [Int32]) {
        for number in numbers { add(UInt32(bitPattern: number)) }
        add(UInt32.max)
    }

    private mutating func add(_ number: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            value = Self.table[Int((value ^ (number >> shift)) & 0xFF)] ^ value >> 8
        }
    }

    var text: String {
        let digits = String(~value, radix: 16)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
}
