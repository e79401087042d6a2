internal import Foundation
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// What GGUF files say beside the weights, and what becomes of it.
@Suite struct CarriedGGUFTests {
    private func lists(_ file: GGUFFile) throws -> (tokens: [String], types: [Int]) {
        guard case .texts(let tokens) = file.metadata["tokenizer.ggml.tokens"],
            case .integers(let types) = file.metadata["tokenizer.ggml.token_type"]
        else { throw ModelFileError(.malformed, "no tokens") }
        return (tokens, types)
    }

    @Test func paddedVocabulariesAreFilled() throws {
        let sample = try SourceSample(padding: 3)
        let file = try GGUFFile(path: try sample.export(nil))
        let count = sample.model.tokenizer.vocabularySize
        let (tokens, types) = try lists(file)
        #expect(tokens.count == count + 3 && types.count == count + 3)
        #expect(tokens[count...] == (count..<count + 3).map { "[PAD\($0)]" }[...])
        // 5: unused.
        #expect(types[count...].allSatisfy { $0 == 5 } && !types[..<count].contains(5))
        #expect(file.integer("llama.vocab_size") == count + 3)
        let path = file.file.path
        let read = try ModelLoader.load(path: path, team: ThreadTeam(threadCount: 2))
        #expect(read.configuration.vocabularySize == count + 3)
        let text = "Padding changes no text"
        #expect(read.tokenizer.encode(text) == sample.model.tokenizer.encode(text))
    }

    @Test func moreTokensThanRowsAreRefused() throws {
        let sample = try SourceSample(padding: -1)
        let error = #expect(throws: ModelFileError.self) { try sample.export(nil) }
        #expect(error?.message.contains("the embedding") == true)
    }

    /// A file with keys of types that qat writes nowhere itself.
    private func foreign(_ folder: TemporaryFolder) throws -> String {
        var builder = GGUFBuilder.llama(try TinyModel.make())
        builder.set("general.name", "Tiny")
        builder.set("general.license", "apache-2.0")
        builder.set("general.license.link", "https://example.com/a: b")
        builder.set("general.tags", ["chat", "yes"])
        builder.set("general.languages", ["no"])
        builder.set("general.file_type", 3)
        builder.set("general.base_model.count", 1)
        builder.set("general.base_model.0.name", "Big")
        builder.set(
            "general.base_model.0.repo_url",
            "https://huggingface.co/me/big"
        )
        builder.set("general.sampling.temp", Float(0.6))
        builder.set("general.parameters", type: 10, GGUFBuilder.little(UInt64.max))
        let doubles = GGUFBuilder.little(Double.pi.bitPattern)
        builder.set(
            "tokenizer.own.doubles",
            type: 9,
            GGUFBuilder.little(UInt32(12)) + GGUFBuilder.little(UInt64(1)) + doubles
        )
        builder.set("tokenizer.ggml.eot_token_id", 2)
        builder.set("tokenizer.ggml.unknown_token_id", 0)
        builder.set("tokenizer.ggml.padding_token_id", 2)
        builder.set("tokenizer.ggml.add_bos_token", type: 7, [1])
        builder.set("tokenizer.chat_template", "{{ messages }}")
        return try folder.write(builder.build(), "tiny.gguf")
    }

    /// The bytes of every key that is carried.
    private func carried(_ path: String) throws -> [String: [UInt8]] {
        let origin = GGUFOrigin(try GGUFFile(path: path))
        return Dictionary(uniqueKeysWithValues: origin.pairs.map { ($0.key, origin.bytes(of: $0)) })
    }

    @Test func generalAndTokenizerKeysAreCarriedByteByByte() throws {
        let folder = try TemporaryFolder()
        let source = try foreign(folder)
        _ = try SourceSample.export(source, to: folder.path + "/out", format: nil)
        let target = folder.path + "/out/model.gguf"
        let keys = try carried(source)
        #expect(try carried(target) == keys)
        #expect(keys.count == 23 && keys["general.file_type"] == nil)
        let file = try GGUFFile(path: target)
        // BF16, whatever the source was.
        #expect(file.integer("general.file_type") == 32)
        #expect(file.metadata["tokenizer.own.doubles"] == .other)
    }

    @Test func shortListsOfTokensAreFilled() throws {
        let folder = try TemporaryFolder()
        let model = try SourceSample(padding: 2).model
        let path = try folder.write(GGUFBuilder.llama(model).build(), "short.gguf")
        _ = try SourceSample.export(path, to: folder.path + "/out", format: nil)
        let file = try GGUFFile(path: folder.path + "/out/model.gguf")
        let count = model.tokenizer.vocabularySize
        let (tokens, types) = try lists(file)
        #expect(tokens == model.tokenizer.vocabulary + ["[PAD\(count)]", "[PAD\(count + 1)]"])
        #expect(types.suffix(2) == [5, 5] && types.count == count + 2)
    }

    @Test func foldersOfGGUFFilesSayTheSame() throws {
        let folder = try TemporaryFolder()
        let source = try foreign(folder)
        let target = folder.path + "/out"
        _ = try SourceSample.export(source, to: target, format: .bf16)
        let tokens = try ModelLoader.open(path: source).tokenizer().vocabulary
        let config = try JSONValue.object(
            path: target + "/tokenizer_config.json",
            byteLimit: 1 << 16,
            limit: 99
        )
        for (role, id) in [("bos", 0), ("eos", 1), ("pad", 2), ("unk", 0)] {
            #expect(try config.text("\(role)_token") == tokens[id])
        }
        #expect(try config.flag("add_bos_token") == true)
        #expect(try config.flag("add_eos_token") == false)
        let opened = try ModelLoader.open(path: target)
        #expect(opened.configuration.eosTokens == [1, 2])
        #expect(try opened.tokenizer().addedAtStart == [0])
        #expect(opened.chatTemplate == "{{ messages }}")
        let generation = try contents(target + "/generation_config.json").filter {
            !$0.isWhitespace
        }
        #expect(generation.contains(#""eos_token_id":[1,2]"#))
        #expect(
            try contents(target + "/README.md") == """
                ---
                model_name: Tiny
                license: apache-2.0
                license_link: "https://example.com/a: b"
                language:
                - "no"
                tags:
                - chat
                - "yes"
                base_model:
                - me/big
                ---

                # Tiny

                """
        )
        // And again as GGUF: all but what a folder has no place for.
        _ = try SourceSample.export(target, to: folder.path + "/again", format: nil)
        let again = try GGUFFile(path: folder.path + "/again/model.gguf")
        let first = try GGUFFile(path: source)
        let lost = Set([
            "general.sampling.temp", "general.parameters", "general.file_type",
            "tokenizer.own.doubles",
        ])
        for (key, value) in first.metadata where key.hasPrefix("general.") || key.hasPrefix("to") {
            if !lost.contains(key) { #expect(again.metadata[key] == value, "\(key)") }
        }
    }
}
