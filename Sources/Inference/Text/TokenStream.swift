internal import ModelFiles

/// The text of tokens that come one by one.
///
/// A token may be part of a character, and where a word begins is told by the tokens before it: pieces are
/// what decoding some more tokens adds to decoding those before. Special tokens are no text.
struct TokenStream {
    private let tokenizer: Tokenizer
    private let specialTokens: Set<Int32>
    private var tokens: [Int32]
    /// Where decoding begins, and up to where the text was told.
    private var (first, told) = (0, 0)

    /// Tokens of a prompt that say how the text behind it begins.
    private static let contextCount = 5

    /// Text behind `prompt`.
    init(_ tokenizer: Tokenizer, specialTokens: Set<Int32>, prompt: [Int32]) {
        self.tokenizer = tokenizer
        self.specialTokens = specialTokens
        tokens = prompt.suffix(Self.contextCount).filter { !specialTokens.contains($0) }
        told = tokens.count
    }

    /// The text that a token makes known; "" while a character is not whole.
    mutating func take(_ token: Int32) -> String {
        guard !specialTokens.contains(token) else { return "" }
        tokens.append(token)
        return piece(isLast: false)
    }

    /// The rest, when no more tokens come: what is no character is a replacement character.
    mutating func finish() -> String { piece(isLast: true) }

    private mutating func piece(isLast: Bool) -> String {
        let before = tokenizer.decode(Array(tokens[first..<told]))
        let text = tokenizer.decode(Array(tokens[first...]))
        guard text.utf8.count > before.utf8.count, isLast || !text.hasSuffix("\u{FFFD}") else {
            return ""
        }
        (first, told) = (told, tokens.count)
        return String(decoding: text.utf8.dropFirst(before.utf8.count), as: UTF8.self)
    }
}
