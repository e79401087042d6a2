internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Conversations as texts; `Fixtures/make_chat_fixtures.py` says what is expected.
@Suite struct ConversationTests {
    private struct Case: Decodable {
        let tokenizer: String
        let template: String
        let special: [String: String]
        let name: String
        let line: String
        let text: String?
        let tokens: [Int32]?
        let mask: [Int]?
        let error: String?
    }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static func fixtures() throws -> URL {
        try #require(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
    }

    private func tokens(_ found: Case) throws -> TextTokens {
        let file = try Self.fixtures().appending(path: "tokenizer-\(found.tokenizer).json")
        return TextTokens(
            try Tokenizer(tokenizerJSON: Array(Data(contentsOf: file))),
            chatTemplate: ChatTemplate(found.template, tokens: found.special)
        )
    }

    private func file(_ lines: [String]) throws -> TextFile {
        try TextFile(path: folder.write(Array(lines.joined(separator: "\n").utf8), "chat.jsonl"))
    }

    /// Texts, tokens and what of them is learned, against Transformers.
    @Test func equalsTransformers() throws {
        let data = try Data(contentsOf: Self.fixtures().appending(path: "chat.json"))
        let cases = try JSONDecoder().decode([Case].self, from: data)
        #expect(cases.count > 50)
        for found in cases {
            let tokens = try tokens(found)
            let file = try file([found.line])
            if let error = found.error {
                let thrown = #expect(throws: ModelFileError.self) { try tokens.tokens(of: file) }
                #expect(thrown?.message.contains(error) == true, "\(found.name)")
                continue
            }
            #expect(try tokens.tokens(of: file) == found.tokens, "\(found.name)")
            var text = MarkedText()
            guard let mask = found.mask else {
                #expect(throws: ModelFileError.self) {
                    try text.append(file, tokens, marking: .answers)
                }
                continue
            }
            try text.append(file, tokens, marking: .answers)
            #expect(text.hasConversations)
            #expect(text.tokens.map(MarkedToken.token) == found.tokens, "\(found.name)")
            // A row asks for the token behind it, and nothing is behind the last.
            let asked = text.tokens.map { MarkedToken.isLearned($0) ? 1 : 0 }
            #expect(asked == mask.dropFirst() + [0], "\(found.name)")
            let ends = text.tokens.indices.filter { text.tokens[$0] & MarkedToken.documentEnd != 0 }
            #expect(ends == [text.tokens.count - 1])
        }
    }

    private static let template = """
        {%- for m in messages %}<|im_start|>{{ m.role }}
        {{ m.content }}<|im_end|>
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
        {% endif %}
        """

    private func simple() throws -> TextTokens {
        let file = try Self.fixtures().appending(path: "tokenizer-qwen2.json")
        return TextTokens(
            try Tokenizer(tokenizerJSON: Array(Data(contentsOf: file))),
            chatTemplate: ChatTemplate(Self.template, tokens: [:]),
            endOfText: 0
        )
    }

    /// Lines as ShareGPT has them are the same conversation; texts beside conversations are learned whole, and
    /// no row asks for what a conversation begins with.
    @Test func readsOtherKeysAndMixes() throws {
        let tokens = try simple()
        let messages =
            #"{"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "king"}]}"#
        let shared =
            #"{"conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "king"}]}"#
        let one = try tokens.tokens(of: file([messages]))
        #expect(try tokens.tokens(of: file([shared])) == one)
        var text = MarkedText()
        try text.append(
            file([#"{"text": "world"}"#, messages, #"{"text": "the king"}"#]),
            tokens,
            marking: .answers
        )
        let first = tokens.tokenizer.encode("world").count + 1
        let plain = text.tokens.map(MarkedToken.token)
        #expect(
            plain == tokens.tokenizer.encode("world") + [0] + one
                + tokens.tokenizer.encode("the king") + [0]
        )
        let isLearned = text.tokens.map(MarkedToken.isLearned)
        #expect(isLearned[..<(first - 1)].allSatisfy { $0 } && !isLearned[first - 1])
        #expect(isLearned[(first + one.count)...].allSatisfy { $0 })
        #expect(text.tokens.count { $0 & MarkedToken.documentEnd != 0 } == 3)
        // All of a conversation is learned where that is asked for.
        var all = MarkedText()
        try all.append(file([messages]), tokens, marking: .documents)
        #expect(all.tokens.allSatisfy(MarkedToken.isLearned))
    }

    @Test(
        "What is no conversation is refused with its line and place",
        arguments: [
            (#"{"messages": []}"#, "no list of 1 to"),
            (#"{"messages": "hello"}"#, "no list of 1 to"),
            (#"{"messages": [1]}"#, "messages[0] is no object"),
            (#"{"messages": [{"content": "a"}]}"#, "messages[0]: \"role\" is no text"),
            (#"{"messages": [{"role": "user"}]}"#, "messages[0]: no \"content\""),
            (#"{"messages": [{"role": "user", "content": 1}]}"#, "neither a text nor a list"),
            (#"{"conversations": [{"from": "bard", "value": "a"}]}"#, "nobody is called \"bard\""),
            (#"{"conversations": [{"value": "a"}]}"#, "\"from\" and \"value\" are no texts"),
            (#"{"messages": [{"role": "a", "role": "b", "content": ""}]}"#, "a second time"),
            (
                #"{"messages": [{"role": "a", "content": ""}], "chat_template_kwargs": {"messages": []}}"#,
                "cannot set \"messages\""
            ),
        ]
    )
    func refuses(line: String, words: String) throws {
        let tokens = try simple()
        let good = #"{"messages": [{"role": "user", "content": "hello"}]}"#
        let error = #expect(throws: ModelFileError.self) {
            try tokens.tokens(of: file([good, line]))
        }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("chat.jsonl: line 2") == true)
    }

    @Test func refusesModelsWithoutTemplate() throws {
        let model = try TinyModel.make()
        let tokens = try TextTokens(model.tokenizer, model.configuration, SourceFiles())
        let file = try file([#"{"messages": [{"role": "user", "content": "hello"}]}"#])
        let error = #expect(throws: ModelFileError.self) { try tokens.tokens(of: file) }
        #expect(error?.message.contains("the model has no chat template") == true)
    }

    /// Values that a line hands to the template beside its messages.
    @Test func passesValuesOn() throws {
        let file = try Self.fixtures().appending(path: "tokenizer-qwen2.json")
        let tokenizer = try Tokenizer(tokenizerJSON: Array(Data(contentsOf: file)))
        let tokens = TextTokens(
            tokenizer,
            chatTemplate: ChatTemplate(
                "{{ messages[0].content }}{{ ending }}{{ bos_token }}",
                tokens: ["bos_token": "x"]
            )
        )
        let line =
            #"{"messages": [{"role": "user", "content": "hello"}], "chat_template_kwargs": {"ending": " world"}}"#
        #expect(try tokens.tokens(of: self.file([line])) == tokenizer.encode("hello worldx"))
    }
}
