/// A token of a training text together with what is known of its place there, in its upper bits: vocabularies
/// are far smaller.
///
/// Windows carry the marks through loaders, samplers and caches unseen; an embedding is looked up by the token
/// alone.
public enum MarkedToken {
    /// What follows the token is asked for by no loss: its position counts in none, as before a word of the
    /// user's in a conversation.
    public static let silent: Int32 = 1 << 30
    /// A document ends with the token.
    public static let documentEnd: Int32 = 1 << 29
    /// Tokens are below this.
    public static let limit: Int32 = 1 << 29

    private static let marks = silent | documentEnd

    /// The token without its marks; what is no token, below 0, stays that.
    public static func token(_ value: Int32) -> Int32 { value < 0 ? value : value & ~marks }

    /// Whether what follows the token is asked for, as far as its own mark says.
    public static func isLearned(_ value: Int32) -> Bool { !has(silent, value) }

    /// Whether a token, 0 or more, has a mark.
    static func has(_ mark: Int32, _ value: Int32) -> Bool { value & mark != 0 }
}
