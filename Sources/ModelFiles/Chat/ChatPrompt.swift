internal import Jinja
internal import OrderedCollections

/// What one party of a conversation said.
public struct ChatMessage: Sendable, Equatable {
    /// Who: `system`, `user`, `assistant`, or what else the model's template knows.
    public var role: String
    /// What.
    public var content: String

    /// A message.
    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }
}

extension ChatTemplate {
    /// The text that a model continues with its answer to a conversation.
    ///
    /// Its tokens are those of the text as it is: a template writes what stands at its beginning itself.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) of a conversation that the template refuses, in its own
    ///   words; (`unsupported`) of what of Jinja is not rendered here.
    public func prompt(_ messages: [ChatMessage]) throws(ModelFileError) -> String {
        let list = messages.map { message in
            TemplateValue.object(["role": .text(message.role), "content": .text(message.content)])
        }
        let conversation = try Conversation(["messages": .list(list)], place: "the conversation")
        return try renderer().prompt(conversation, place: "the conversation")
    }
}
