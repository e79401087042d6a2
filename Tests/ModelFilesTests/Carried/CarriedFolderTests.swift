internal import Foundation
internal import Formats
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// From Hugging Face folder to Hugging Face folder.
@Suite struct CarriedFolderTests {
    private static let files = [
        "tokenizer_config.json": #"{"eos_token":"<|im_end|>",  "x": 1.0}"#,
        "special_tokens_map.json": #"{"pad_token": "<|im_end|>"}"#,
        "added_tokens.json": "{}", "vocab.json": "{}", "merges.txt": "a b\n",
        "generation_config.json": #"{"eos_token_id": [2, 1], "temperature": 0.60}"#,
        "chat_template.jinja": "{{ messages }}\r\n",
        "additional_chat_templates/rag.jinja": "{{ documents }}",
        "LICENSE": "Apache", "USE_POLICY.md": "be kind", "NOTICE.txt": "by us",
        "README.md": "---\nlicense: apache-2.0\n---\n# tiny\n",
    ]

    @Test(arguments: [HuggingFaceWriter.Format.f32, .bf16])
    func filesBesideTheWeightsAreCarriedAsTheyAre(format: HuggingFaceWriter.Format) throws {
        let others = ["modeling_own.py": "x", "hf_notes.json": "{}", "LICENSE.py": "x"]
        let sample = try SourceSample(Self.files.merging(others) { a, _ in a })
        let target = sample.folder.path + "/out"
        let summary = try SourceSample.export(sample.path, to: target, format: format)
        for (name, content) in Self.files {
            #expect(try contents("\(target)/\(name)") == content, "\(name)")
            #expect(summary.files.contains(name))
        }
        #expect(
            try FileSystem.read(target + "/tokenizer.json", limit: 1 << 24)
                == sample.model.tokenizerJSON
        )
        for name in others.keys { #expect(!FileSystem.exists("\(target)/\(name)")) }
        #expect(summary.notes.count == 1 && summary.notes[0].contains("modeling_own.py"))
        let read = try ModelLoader.open(path: target)
        #expect(read.configuration == (try ModelLoader.open(path: sample.path)).configuration)
        #expect(read.configuration.eosTokens == [2, 1])
    }

    @Test func onlyChangedKeysOfTheConfigurationChange() throws {
        let sample = try SourceSample()
        let source = try contents(sample.path + "/config.json")
        let plain = try contents(try sample.export(.f32) + "/config.json")
        func spaceless(_ text: String) -> String { text.filter { !$0.isWhitespace } }
        #expect(spaceless(plain) == spaceless(source))
        // Lists and objects keep their inner spelling, too.
        #expect(plain.contains("\"eos_token_id\": [ 1, 2 ]"))
        let rounded = try contents(try sample.export(.bf16) + "/config.json")
        #expect(rounded == plain.replacing("\"float32\"", with: "\"bfloat16\""))
    }

    @Test func quantizationIsSetAndTakenAway() throws {
        let sample = try SourceSample()
        let target = sample.folder.path + "/mxfp4"
        let quantized = try QuantizedModel(
            rounding: ModelLoader.load(path: sample.path, team: ThreadTeam(threadCount: 2)),
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            team: ThreadTeam(threadCount: 2)
        )
        _ = try quantized.write(
            to: HuggingFaceWriter(
                quantized.description,
                format: .compressedTensors,
                folder: target
            )
        )
        let config = try contents(target + "/config.json")
        #expect(config.contains("\"rms_norm_eps\": 1e-05,\n"))
        #expect(config.contains("\"initializer_range\": 2.0E-2,\n"))
        #expect(config.contains("\"quantization_config\": {\n    \"config_groups\""))
        #expect(try JSONSerialization.jsonObject(with: Data(config.utf8)) is [String: Any])
        let back = sample.folder.path + "/back"
        _ = try SourceSample.export(target, to: back, format: .f32)
        #expect(
            try contents(back + "/config.json")
                == contents(try sample.export(.f32) + "/config.json")
        )
    }

    @Test func aHeadOfItsOwnUntiesTheEmbedding() throws {
        let sample = try SourceSample()
        let model = try ModelLoader.load(path: sample.path, team: ThreadTeam(threadCount: 2))
        let rotated = QuantizedModel(
            model: LoadedModel(model, parameters: try BlockRotation.rotated(model.parameters)),
            stored: [:]
        )
        let target = sample.folder.path + "/out"
        _ = try rotated.write(
            to: HuggingFaceWriter(rotated.description, format: .f32, folder: target)
        )
        let expected = try contents(try sample.export(.f32) + "/config.json")
            .replacing("\"tie_word_embeddings\": true", with: "\"tie_word_embeddings\": false")
        #expect(try contents(target + "/config.json") == expected)
    }

    @Test func namesOfCodeThatIsNotCarriedGo() throws {
        let map = #" "auto_map": {"AutoModel": "modeling_own.Own"},"#
        let sample = try SourceSample(config: map)
        #expect(!(try contents(try sample.export(.bf16) + "/config.json").contains("auto_map")))
        let far = #" "auto_map": {"AutoModel": "me/own--modeling_own.Own"},"#
        let other = try SourceSample(config: far)
        #expect(try contents(try other.export(.bf16) + "/config.json").contains("me/own--modeling"))
    }

    @Test func noTokenizerIsNeededToCarryFilesOver() throws {
        let without = try SourceSample(tokenizer: false)
        let target = try without.export(.bf16)
        #expect(!FileSystem.exists(target + "/tokenizer.json"))
        let error = #expect(throws: ModelFileError.self) { try without.export(nil) }
        #expect(error?.message.contains("a GGUF file holds the tokenizer") == true)
        #expect(error?.message.contains("tokenizer.json") == true)
        // One that qat does not read is carried as well.
        let foreign = try SourceSample(["tokenizer.json": #"{"model": {"type": "Unigram"}}"#])
        let text = try contents(try foreign.export(.bf16) + "/tokenizer.json")
        #expect(text == #"{"model": {"type": "Unigram"}}"#)
    }
}
