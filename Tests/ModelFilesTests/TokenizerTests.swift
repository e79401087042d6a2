internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Token ids against Hugging Face's tokenizers; see `Fixtures/make_tokenizer_fixtures.py`.
struct TokenizerTests {
    private struct Fixture: Decodable {
        let texts: [String]
        let expected: [String: [[Int32]]]
    }

    private static func folder() throws -> URL {
        try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
    }

    private static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: try folder().appending(path: name)))
    }

    @Test(arguments: ["gpt2", "smollm", "llama3", "qwen2"])
    func encodesAsHuggingFace(name: String) throws {
        let tokenizer = try Tokenizer(tokenizerJSON: try Self.bytes("\(name).json"))
        let fixture = try JSONDecoder().decode(
            Fixture.self,
            from: Data(try Self.bytes("texts.json"))
        )
        let expected = try #require(fixture.expected[name])
        #expect(fixture.texts.count > 40 && expected.count == fixture.texts.count)
        for (text, ids) in zip(fixture.texts, expected) {
            #expect(tokenizer.encode(text) == ids, "\(name): \(text.debugDescription)")
        }
    }

    @Test(arguments: ["gpt2", "smollm", "llama3"])
    func decodesWhatItEncodes(name: String) throws {
        let tokenizer = try Tokenizer(tokenizerJSON: try Self.bytes("\(name).json"))
        let fixture = try JSONDecoder().decode(
            Fixture.self,
            from: Data(try Self.bytes("texts.json"))
        )
        for text in fixture.texts {
            #expect(Array(tokenizer.decode(tokenizer.encode(text)).utf8) == Array(text.utf8))
        }
    }

    @Test(arguments: ["gpt2", "smollm", "llama3", "qwen2"])
    func survivesBeingWritten(name: String) throws {
        let tokenizer = try Tokenizer(tokenizerJSON: try Self.bytes("\(name).json"))
        let again = try Tokenizer(tokenizerJSON: try TokenizerJSON.render(tokenizer))
        let text = "Don't 12345 naïve <|im_end|>\r\n  日本語 x"
        #expect(again.encode(text) == tokenizer.encode(text))
        #expect(again.preTokenizer == tokenizer.preTokenizer)
        #expect(again.normalizer == tokenizer.normalizer)
        #expect(again.addedTokens == tokenizer.addedTokens)
    }

    @Test func longRunsTakeTheSameMergesAsShortOnes() throws {
        // Pieces above 64 bytes are merged with a heap; it must agree with the plain loop.
        let tokenizer = try Tokenizer(tokenizerJSON: try Self.bytes("gpt2.json"))
        let text = String(repeating: "thequantizedkingdomthere", count: 40)
        let long = tokenizer.encode(text)
        #expect(tokenizer.decode(long) == text)
        #expect(long == Self.mergedPlainly(text, tokenizer))
    }

    private static func mergedPlainly(_ text: String, _ tokenizer: Tokenizer) -> [Int32] {
        var pieces = text.utf8.map { String(ByteAlphabet.characters[Int($0)]) }
        let ranks = Dictionary(
            tokenizer.merges.enumerated().map { ($1.0 + " " + $1.1, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        while true {
            let candidates = zip(pieces, pieces.dropFirst()).enumerated().compactMap {
                index,
                pair in
                ranks[pair.0 + " " + pair.1].map { (rank: $0, index: index) }
            }
            guard let best = candidates.min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) })
            else {
                break
            }
            pieces[best.index] += pieces.remove(at: best.index + 1)
        }
        return pieces.map { Int32(tokenizer.vocabulary.firstIndex(of: $0) ?? -1) }
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"model": {"type": "WordPiece"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0.5}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 4000000}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [7], "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}, "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 99999999}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]}, "pre_tokenizer": {"type": "ByteLevel"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "UnicodeScripts"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [{"content": "b", "id": 0}]}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [{"content": "a", "id": 1}]}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "b"}}"#,
        #"{"model": {"type": "Unigram", "vocab": [["a", 0]]}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "surprise": 1}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "normalizer": {"type": "Precompiled"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "decoder": {"type": "WordPiece"}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "post_processor": {"type": "BertProcessing", "sep": ["x", 9], "cls": ["a", 0]}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"}}"#,
    ])
    func refusesWhatItCannotRead(json: String) {
        #expect(throws: ModelFileError.self) { try Tokenizer(tokenizerJSON: Array(json.utf8)) }
    }
}
