internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// The forms that tokenizers take in GGUF, and what those forms do.
struct TokenizerGGUFTests {
    private static func tokenizer(_ name: String) throws -> Tokenizer {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        return try Tokenizer(path: folder.appending(path: "tokenizer-\(name)").path)
    }

    // Names out of llama.cpp's conversion/base.py.
    @Test(arguments: [
        ("smollm3.json", "llama-bpe"), ("qwen2.json", "qwen2"), ("starcoder2.json", "smollm"),
        ("deepseek-llm.json", "deepseek-llm"), ("deepseek-coder.json", "deepseek-coder"),
        ("deepseek-v3.json", "deepseek-v3"), ("gpt-4o.json", "gpt-4o"), ("tekken.json", "tekken"),
    ])
    func findsTheNameOfASplit(name: String, pre: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let form = try GGUFTokenizerForm(tokenizer)
        #expect(form.model == .merges && form.pre == pre)
        #expect(form.kinds.count == tokenizer.vocabularySize)
        #expect(form.addsBOS == !tokenizer.addedAtStart.isEmpty)
        #expect(form.addsEOS == !tokenizer.addedAtEnd.isEmpty)
        #expect(form.kinds[0] == .control && form.kinds[5] == .normal)
    }

    @Test(arguments: [
        "bailing.json", "exaone.json", "roberta.json", "added.json", "metaspace.json",
        "unknown.json", "previous.json", "llama2.json", "spm-unknown.model",
    ])
    func refusesWhatLlamaCppDoesNotDo(name: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let error = #expect(throws: ModelFileError.self) { try GGUFTokenizerForm(tokenizer) }
        #expect(error?.code == .unsupported)
    }

    @Test(arguments: [("spm-llama.model", true), ("spm-gemma.model", false)])
    func givesScoresBackThatMergesWereMadeOf(name: String, addsPrefix: Bool) throws {
        let pieces = try Self.tokenizer(name)
        let merges = try Tokenizer(tokenizerJSON: try TokenizerJSON.render(pieces))
        let form = try GGUFTokenizerForm(merges)
        #expect(form.model == .scores && form.addsSpacePrefix == addsPrefix)
        #expect(form.kinds.count { $0 == .byte } == 256 && form.kinds[0] == .unknown)
        var stages = Tokenizer.Stages()
        stages.normalizer = merges.normalizer
        stages.addedTokens = merges.addedTokens
        let again = Tokenizer(
            vocabulary: merges.vocabulary,
            scores: .init(
                vocabulary: merges.vocabulary,
                scores: form.scores,
                kinds: form.kinds.map { $0 == .userDefined ? .normal : $0 }
            ),
            stages: stages
        )
        for text in ["the quantized  kingdom's 1234\n\nHTTPServer", "naïve 日本語 😀 foo_bar", "", " "]
        {
            #expect(again.encode(text) == merges.encode(text), "\(text)")
        }
    }

    @Test func fillsHolesAndCallsThemUnused() throws {
        let json =
            #"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 3}, "merges": []}, "#
            + #""pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}"#
        let tokenizer = try Tokenizer(tokenizerJSON: Array(json.utf8))
        #expect(tokenizer.vocabulary == ["a", "[PAD1]", "[PAD2]", "b"])
        #expect(tokenizer.encode("ab") == [0, 3])
        #expect(try GGUFTokenizerForm(tokenizer).kinds == [.normal, .unused, .unused, .normal])
    }

    @Test func tellsCanonicallyEquivalentTokensApart() throws {
        // U+00E9 and U+0065 U+0301 are one text to Swift.
        let json =
            #"{"model": {"type": "BPE", "vocab": {"e": 0, "\u0301": 1, "\u00e9": 2, "#
            + #""e\u0301": 3}, "merges": [["e", "\u0301"]]}}"#
        let tokenizer = try Tokenizer(tokenizerJSON: Array(json.utf8))
        #expect(tokenizer.encode("\u{E9}e\u{301}") == [2, 3])
    }

    @Test(
        arguments: [
            [], [0], [0x0A, 0xFF], [0x08, 0x01], [0x0A, 0x02, 0x0A, 0x09],
            [0x0A, 0x06, 0x0A, 0x01, 0x61, 0x18, 0x09, 0x00], [0x0A, 0x03, 0x0A, 0x01, 0x61],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        ] as [[UInt8]]
    )
    func refusesWhatIsNoPieceModel(bytes: [UInt8]) {
        #expect(throws: ModelFileError.self) { try SentencePieceModel(bytes, path: "x.model") }
    }
}
