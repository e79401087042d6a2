internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Model cards, names, and what GGUF files say of them.
@Suite struct ModelCardTests {
    private static let card = """
        ---
        license: "llama3.2"   # not the code's
        license_name: 'own licence'
        language:
        - en
          - "no"
        tags: [chat, "edge", ]
        base_model: meta-llama/Llama-3.2-1B
        pipeline_tag: text-generation
        widget:
          - text: "Hello: you"
        model-index:
        - name: x
          results: []
        extra: |
          folded
        empty:
        nothing: null
        ---
        license: mit
        """

    @Test func frontMatterIsRead() throws {
        let card = try ModelCard(Array(Self.card.utf8), path: "README.md")
        #expect(
            card.values == [
                "license": ["llama3.2"], "license_name": ["own licence"], "language": ["en", "no"],
                "tags": ["chat", "edge"], "base_model": ["meta-llama/Llama-3.2-1B"],
                "pipeline_tag": ["text-generation"],
            ]
        )
        for text in ["", "# title\n---\nlicense: mit\n---", "---\nlicense mit\n- x\n---"] {
            #expect(try ModelCard(Array(text.utf8), path: "README.md").values.isEmpty)
        }
        #expect(throws: ModelFileError.self) { try ModelCard([0x2D, 0xFF], path: "README.md") }
    }

    @Test func generalKeysComeOfCardAndName() throws {
        let sample = try SourceSample(["README.md": Self.card])
        let file = try sample.gguf()
        let general = file.metadata.filter { $0.key.hasPrefix("general.") }
        let expected: [String: GGUFFile.Value] = [
            "general.architecture": .text("llama"), "general.type": .text("model"),
            // A thousandth of a billion: 1B is the length of something else.
            "general.name": .text("Tiny 1B Chat"), "general.basename": .text("tiny"),
            "general.finetune": .text("1b-Chat"), "general.license": .text("llama3.2"),
            "general.license.name": .text("own licence"),
            "general.languages": .texts(["en", "no"]),
            "general.tags": .texts(["chat", "edge", "text-generation"]),
            "general.base_model.count": .integer(1),
            "general.base_model.0.name": .text("Llama 3.2 1B"),
            "general.base_model.0.organization": .text("Meta Llama"),
            "general.base_model.0.repo_url":
                .text("https://huggingface.co/meta-llama/Llama-3.2-1B"),
            "general.size_label": general["general.size_label"] ?? .other,
            "general.file_type": .integer(32), "general.quantization_version": .integer(2),
            "general.alignment": .integer(32),
        ]
        for (key, value) in expected { #expect(general[key] == value, "\(key)") }
        #expect(general.count == expected.count, "\(general.keys.sorted())")
    }

    @Test func theJobsPathNamesTheModel() throws {
        let sample = try SourceSample()
        for (reference, name) in [
            ("models/Own-Model/", "Own Model"), ("../own.gguf", "Own"), ("job:01J/model", "Model"),
            ("sha256:00", "Model"),
        ] {
            let file = try GGUFFile(path: try sample.export(nil, rename: reference))
            #expect(file.text("general.name") == name)
        }
        let named = try SourceSample(config: #""_name_or_path": "me/Other-7B","#)
        #expect(try named.gguf().text("general.name") == "Other 7B")
        let path = try SourceSample(config: #""_name_or_path": "/a/b/c","#)
        #expect(try path.gguf().text("general.name") == "Tiny 1B Chat")
    }

    struct Name: Sendable {
        let text: String
        let count: Int
        let title: String
        /// Organization, base, tuning, version, size.
        let parts: [String?]
    }

    /// As gguf-py 0.19's `get_model_id_components` and `id_to_title` have them.
    static let names: [Name] = [
        .init(
            text: "meta-llama/Llama-3.2-1B-Instruct",
            count: 1_235_814_400,
            title: "Llama 3.2 1B Instruct",
            parts: ["meta-llama", "Llama-3.2", "Instruct", nil, "1B"]
        ),
        .init(
            text: "HuggingFaceTB/SmolLM2-135M-Instruct",
            count: 134_515_008,
            title: "SmolLM2 135M Instruct",
            parts: ["HuggingFaceTB", "SmolLM2", "Instruct", nil, "135M"]
        ),
        .init(
            text: "Qwen/Qwen2.5-0.5B-Instruct-1M",
            count: 494_032_768,
            title: "Qwen2.5 0.5B Instruct 1M",
            parts: ["Qwen", "Qwen2.5", "Instruct-1m", nil, "0.5B"]
        ),
        .init(
            text: "mistralai/Mistral-7B-Instruct-v0.3",
            count: 7_248_023_552,
            title: "Mistral 7B Instruct v0.3",
            parts: ["mistralai", "Mistral", "Instruct", "v0.3", "7B"]
        ),
        .init(
            text: "bloom-7b1",
            count: 7_069_016_064,
            title: "Bloom 7b1",
            parts: [nil, "bloom", nil, nil, "7.1B"]
        ),
        .init(
            text: "gemma-2-2b-it",
            count: 2_614_341_888,
            title: "Gemma 2 2b It",
            parts: [nil, "gemma-2", "it", nil, "2B"]
        ),
        .init(
            text: "Phi-3-mini-4k-instruct",
            count: 3_821_079_552,
            title: "Phi 3 Mini 4k Instruct",
            parts: [nil, "Phi-3", "4k-instruct", nil, "mini"]
        ),
        .init(
            text: "tiny-large-7b-chat",
            count: 7_000_000_000,
            title: "Tiny Large 7b Chat",
            parts: [nil, "tiny-large", "chat", nil, "7B"]
        ),
        .init(
            text: "smollm2-q4_k-fp16",
            count: 5,
            title: "Smollm2 Q4_K Fp16",
            parts: [nil, nil, nil, nil, nil]
        ),
        .init(
            text: "./x-1B",
            count: 1_000_000_000,
            title: "X 1B",
            parts: [nil, "x", nil, nil, "1B"]
        ),
        .init(
            text: "a sentence of words",
            count: 5,
            title: "A Sentence Of Words",
            parts: [nil, nil, nil, nil, nil]
        ),
    ]

    @Test(arguments: names)
    func namesComeApartAsTheConverterTakesThem(_ name: Name) {
        let found = ModelName(name.text, parameterCount: name.count)
        #expect(ModelName.title(found.full) == name.title)
        #expect(
            [
                found.organization, found.basename, found.finetune, found.version,
                found.sizeLabel,
            ] == name.parts
        )
    }

    @Test func sizesAreRoundedToTwoDigits() {
        let sizes = [
            134_515_008: "135M", 494_032_768: "494M", 1_235_814_400: "1.2B",
            7_248_023_552: "7.2B", 70_553_706_496: "71B", 41_728: "42K", 999: "1.0K",
        ]
        for (count, label) in sizes { #expect(ModelName.sizeLabel(count) == label) }
    }
}
