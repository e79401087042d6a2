internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Special tokens of folders in GGUF files; expectations by the rules of gguf-py's `SpecialVocab`.
@Suite struct CarriedTokenTests {
    private func keys(_ config: String?, tokenizer: String? = nil) throws -> [String: String] {
        var files: [String: String] = [:]
        files["tokenizer_config.json"] = config
        files["tokenizer.json"] = tokenizer
        let file = try SourceSample(files).gguf()
        let prefix = "tokenizer.ggml."
        let roles = file.metadata.filter {
            $0.key.hasPrefix(prefix)
                && ($0.key.hasSuffix("_id") || $0.key.hasPrefix(prefix + "add"))
        }
        return Dictionary(
            uniqueKeysWithValues: roles.map {
                (String($0.key.dropFirst(prefix.count)), $0.value.excerpt)
            }
        )
    }

    /// The sample's tokenizer with a post-processor.
    private func tokenizer(_ single: String, _ tokens: String...) throws -> String {
        let json = try #require(try SourceSample().model.tokenizerJSON)
        var root = try #require(
            try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any]
        )
        let table = tokens.map { #""\#($0)": {"id": "\#($0)", "ids": [0], "tokens": ["\#($0)"]}"# }
        let processor = """
            {"type": "TemplateProcessing", "single": \(single), "pair": \(single),
            "special_tokens": {\(table.joined(separator: ", "))}}
            """
        root["post_processor"] = try JSONSerialization.jsonObject(with: Data(processor.utf8))
        return String(decoding: try JSONSerialization.data(withJSONObject: root), as: UTF8.self)
    }

    /// config.json has the end tokens 1 and 2, begins with 0 and fills with 2.
    @Test func withoutATokenizerConfigurationTheModelsTokensCount() throws {
        #expect(
            try keys(nil) == [
                "bos_token_id": "0", "eos_token_id": "1", "eot_token_id": "2",
                "padding_token_id": "2", "add_bos_token": "false", "add_eos_token": "false",
            ]
        )
    }

    @Test func theTokenizersTokensComeFirst() throws {
        let config = """
            {"bos_token": "<|im_end|>", "eos_token": {"content": "<|im_start|>", "special": true},
            "unk_token": "<|im_end|>", "pad_token": null, "sep_token": "<|no such|>",
            "add_bos_token": true}
            """
        #expect(
            try keys(config) == [
                "bos_token_id": "1", "eos_token_id": "0", "eot_token_id": "1",
                "eom_token_id": "2", "unknown_token_id": "1", "padding_token_id": "2",
                "add_bos_token": "true", "add_eos_token": "false",
            ]
        )
    }

    @Test func thePostProcessorSaysWhatIsAdded() throws {
        let a = #"{"Sequence": {"id": "A", "type_id": 0}}"#
        let first = #"{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}"#
        let begun = try tokenizer("[\(first), \(a)]", "<|im_start|>")
        let config = #"{"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}"#
        let keys = try keys(config, tokenizer: begun)
        #expect(keys["add_bos_token"] == "true" && keys["bos_token_id"] == "0")
        // A token at the end that is no eos_token ends texts, and that one turns.
        let ended = try tokenizer("[\(a), \(first)]", "<|im_start|>")
        let other = try self.keys(config, tokenizer: ended)
        #expect(other["add_eos_token"] == "true" && other["add_bos_token"] == "false")
        #expect(other["eos_token_id"] == "0" && other["eot_token_id"] == "1")
        // The flag wins, as in the converter.
        let off = config.replacing("}", with: #", "add_bos_token": false}"#)
        #expect(try self.keys(off, tokenizer: begun)["add_bos_token"] == "false")
    }

    /// Texts that are canonically equivalent are other bytes, and so other tokens.
    @Test(arguments: [true, false])
    func tokensAreFoundByTheirBytes(isComposedFirst: Bool) throws {
        let forms = ["<\u{E9}>", "<e\u{301}>"]
        let texts = isComposedFirst ? forms : forms.reversed()
        let json = try #require(try SourceSample().model.tokenizerJSON)
        let renamed = String(decoding: json, as: UTF8.self)
            .replacing("<|im_start|>", with: texts[0]).replacing("<|im_end|>", with: texts[1])
        let config = #"{"bos_token": "\#(texts[0])", "eos_token": {"content": "\#(texts[1])"}}"#
        let keys = try keys(config, tokenizer: renamed)
        #expect(keys["bos_token_id"] == "0" && keys["eos_token_id"] == "1")
    }

    /// A rendered template names both.
    @Test func templatesOfEquivalentTokensAreReadBack() throws {
        let tokens = ["\u{E9}", "e\u{301}", "a"]
        var stages = Tokenizer.Stages()
        stages.addedTokens = (0..<2).map { .init(text: tokens[$0], id: Int32($0), isSpecial: true) }
        (stages.addedAtStart, stages.addedAtEnd) = ([0], [1])
        let tokenizer = try Tokenizer(
            vocabulary: tokens,
            merges: [],
            options: .init(),
            stages: stages
        )
        let read = try Tokenizer(tokenizerJSON: TokenizerJSON.render(tokenizer))
        #expect(read.addedAtStart == [0] && read.addedAtEnd == [1])
        #expect(read.addedTokens == tokenizer.addedTokens)
    }

    @Test func whatLlamaCppDoesOtherwiseIsNoted() throws {
        let sample = try SourceSample([
            "tokenizer_config.json": #"{"add_bos_token": true}"#,
            "generation_config.json": #"{"eos_token_id": [0, 1, 2, 3]}"#,
        ])
        let summary = try SourceSample.export(
            sample.path,
            to: sample.folder.path + "/out",
            format: nil
        )
        #expect(summary.notes.count == 2)
        let beginning = """
            add_bos_token in tokenizer_config.json is true, but the tokenizer puts nothing before a text; \
            llama.cpp will add the bos token, as with a file of its own converter
            """
        #expect(summary.notes.contains(beginning), "\(summary.notes)")
        #expect(summary.notes.contains { $0.contains("left out are [3]") })
    }
}
