internal import Jinja

/// A model's chat template with the texts of its special tokens: what makes one text of a conversation.
///
/// - SeeAlso: Hugging Face Transformers, `apply_chat_template`; docs/DATA.md says what differs.
public struct ChatTemplate: Sendable {
    /// A conversation as a text.
    struct Rendering: Equatable {
        let text: String
        /// UTF-8 offsets of what the model is to learn to write, in their order.
        let answers: [Range<Int>]
    }

    private let source: String
    private let tokens: [String: String]

    /// A template's text, and texts of special tokens by their names in templates, as `bos_token`.
    init(_ source: String, tokens: [String: String]) {
        self.source = source
        self.tokens = tokens
    }

    /// The template of a model that is used unless another is asked for; nil if it has none.
    ///
    /// - Throws: ``ModelFileError`` of files that name special tokens and cannot be read.
    public init?(_ files: SourceFiles, _ tokenizer: Tokenizer) throws(ModelFileError) {
        guard let source = files.chatTemplate else { return nil }
        self.init(source, tokens: try files.specialTokenTexts(tokenizer))
    }

    /// A renderer of conversations.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) of what of Jinja is not rendered here, with the line.
    func renderer() throws(ModelFileError) -> Renderer {
        do {
            return Renderer(
                template: try Template(source),
                values: tokens.mapValues(TemplateValue.text),
                marksAnswers: source.contains("endgeneration")
            )
        } catch {
            throw ModelFileError(.unsupported, "the model's chat template: \(error)")
        }
    }

    /// Renders conversations one after the other, in one thread.
    struct Renderer {
        fileprivate let template: Template
        fileprivate let values: [String: TemplateValue]
        /// Whether the template itself says what an assistant writes.
        fileprivate let marksAnswers: Bool

        /// The text of a conversation, and where in it the model's own words are.
        ///
        /// Those stand in `{% generation %}` where the template has that; otherwise an answer is what a
        /// message adds behind the text of those before it with the prompt for an answer, which must be the
        /// beginning of the whole.
        ///
        /// `findsAnswers`: Whether places are asked for; they are empty otherwise.
        ///
        /// - Throws: ``ModelFileError`` (`malformed`) with `place`, and the template's own words where it
        ///   refuses the conversation.
        func render(
            _ conversation: Conversation,
            findsAnswers: Bool,
            place: String
        ) throws(ModelFileError) -> Rendering {
            let (text, marked) = try text(
                of: conversation,
                conversation.messages.count,
                false,
                place
            )
            guard findsAnswers else { return Rendering(text: text, answers: []) }
            if marksAnswers { return Rendering(text: text, answers: marked) }
            var answers: [Range<Int>] = []
            for index in conversation.answers {
                let (before, _) = try self.text(of: conversation, index, true, place)
                let (behind, _) = try self.text(of: conversation, index + 1, false, place)
                guard text.utf8.starts(with: behind.utf8), behind.utf8.starts(with: before.utf8)
                else {
                    throw ModelFileError(
                        .unsupported,
                        """
                        \(place): where the answer in messages[\(index)] stands cannot be told, for the \
                        chat template renders what comes before it otherwise than in the whole; put \
                        {% generation %} around answers in the template, or learn all of the text: \
                        "answer_only_loss": false
                        """
                    )
                }
                answers.append(before.utf8.count..<behind.utf8.count)
            }
            return Rendering(text: text, answers: answers)
        }

        /// The text of a conversation with the prompt for an answer.
        ///
        /// - Throws: As ``render(_:findsAnswers:place:)``.
        func prompt(
            _ conversation: Conversation,
            place: String
        ) throws(ModelFileError) -> String {
            try text(of: conversation, conversation.messages.count, true, place).text
        }

        private func text(
            of conversation: Conversation,
            _ count: Int,
            _ prompts: Bool,
            _ place: String
        ) throws(ModelFileError) -> (text: String, generated: [Range<Int>]) {
            var values = values.merging(conversation.values) { _, given in given }
            values["messages"] = .list(Array(conversation.messages.prefix(count)))
            values["add_generation_prompt"] = .flag(prompts)
            do {
                return try template.render(values)
            } catch {
                throw ModelFileError(.malformed, "\(place): the chat template says: \(error)")
            }
        }
    }
}

extension SourceFiles {
    /// The texts of special tokens that templates name, by their names.
    func specialTokenTexts(_ tokenizer: Tokenizer) throws(ModelFileError) -> [String: String] {
        var texts: [String: String] = [:]
        if case .gguf(let gguf) = origin {
            for role in TokenRole.allCases where role.isKnownToTransformers {
                guard let token = gguf.integer(role.ggufKey),
                    tokenizer.vocabulary.indices.contains(token)
                else { continue }
                texts[role.textKey] = tokenizer.vocabulary[token]
            }
            return texts
        }
        // The map is the older place; where both name a token, tokenizer_config.json is read last and wins.
        for name in ["special_tokens_map.json", "tokenizer_config.json"] {
            guard let content = files[name] else { continue }
            let bytes = try content.read()
            guard case .object(let members) = try JSONValue.parse(bytes, path: name, limit: 1 << 20)
            else { throw ModelFileError(.malformed, "\(name): no JSON object") }
            for (key, value) in members where key.hasSuffix("_token") {
                switch value {
                case .text(let text): texts[key] = text
                case .object(let members):
                    if case .text(let text) = members["content"] { texts[key] = text }
                default: break
                }
            }
        }
        return texts
    }
}
