/// What a text file holds one after the other: a text, or a conversation.
enum TextDocument {
    case text(String)
    case conversation(Conversation, place: String)
}
