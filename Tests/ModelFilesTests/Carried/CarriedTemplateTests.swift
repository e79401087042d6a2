internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Chat templates in all their places: a file, a list of named ones, a text.
@Suite struct CarriedTemplateTests {
    private static let template =
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        + "{% endfor %}"

    private static func json(_ text: String) -> String {
        let data = try? JSONEncoder().encode(text)
        return String(decoding: data ?? Data(), as: UTF8.self)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let files: [String: String]
        let named: [String: String]

        var testDescription: String { name }
    }

    static let cases: [Case] = [
        .init(
            name: "file",
            files: ["tokenizer_config.json": "{}", "chat_template.jinja": template],
            named: [:]
        ),
        .init(
            name: "file beside a text",
            files: [
                "tokenizer_config.json": #"{"chat_template": "old"}"#,
                "chat_template.jinja": template,
            ],
            named: [:]
        ),
        .init(
            name: "files",
            files: [
                "chat_template.jinja": template, "additional_chat_templates/rag.jinja": "{{ d }}",
            ],
            named: ["rag": "{{ d }}"]
        ),
        .init(
            name: "list",
            files: [
                "tokenizer_config.json": """
                {"chat_template": [{"name": "tool_use", "template": "{{ tools }}"},
                {"name": "default", "template": \(json(template))}]}
                """
            ],
            named: ["tool_use": "{{ tools }}"]
        ),
        .init(
            name: "text",
            files: ["tokenizer_config.json": #"{"chat_template": \#(json(template))}"#],
            named: [:]
        ),
        .init(
            name: "text of a processor",
            files: ["chat_template.json": #"{"chat_template": \#(json(template))}"#],
            named: [:]
        ),
    ]

    @Test(arguments: cases)
    func templatesSurviveFoldersAndGGUF(_ sample: Case) throws {
        let source = try SourceSample(sample.files)
        var expected = ChatTemplates()
        (expected.main, expected.named) = (Self.template, sample.named)
        #expect(try ModelLoader.open(path: source.path).files.chatTemplates == expected)
        let folder = try source.export(.bf16)
        #expect(try ModelLoader.open(path: folder).files.chatTemplates == expected)
        let gguf = try source.export(nil)
        let file = try GGUFFile(path: gguf)
        #expect(file.text("tokenizer.chat_template") == Self.template)
        for (name, text) in sample.named {
            #expect(file.text("tokenizer.chat_template.\(name)") == text)
            #expect(file.metadata["tokenizer.chat_templates"] == .texts([name]))
        }
        // And back, where they are files as Transformers saves them.
        let back = source.folder.path + "/back"
        _ = try SourceSample.export(gguf, to: back, format: .bf16)
        #expect(try ModelLoader.open(path: back).files.chatTemplates == expected)
        #expect(try contents(back + "/chat_template.jinja") == Self.template)
    }

    @Test func brokenTemplatesAreNamed() throws {
        for config in [
            #"{"chat_template": [{"name": "default"}]}"#, #"{"chat_template": 3}"#, "{",
        ] {
            let source = try SourceSample(["tokenizer_config.json": config])
            let error = #expect(throws: ModelFileError.self) {
                _ = try ModelLoader.open(path: source.path)
            }
            #expect(error?.message.contains("tokenizer_config.json") == true)
        }
    }
}
