public import Transformer

/// How texts become the tokens of a model.
public struct TextTokens: Sendable {
    /// The model's tokenizer.
    public let tokenizer: Tokenizer
    /// The token that ends a document; nil if the model has none.
    public let endOfText: Int32?
    /// The rows of the model's embedding.
    public let vocabularySize: Int
    /// What makes texts of conversations; nil if the model has none.
    let chatTemplate: ChatTemplate?

    /// How many bytes of a document are tokenized at first to see whether it holds enough tokens.
    private static let firstPiece = 1 << 16

    /// The tokens of a model.
    ///
    /// `files`: What the model says of itself, its chat template among it.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if the tokenizer does not fit the embedding; see
    ///   ``Vocabulary``.
    public init(
        _ tokenizer: Tokenizer,
        _ configuration: ModelConfiguration,
        _ files: SourceFiles
    ) throws(ModelFileError) {
        try Vocabulary.requireFit(of: tokenizer, configuration)
        self.tokenizer = tokenizer
        chatTemplate = try ChatTemplate(files, tokenizer)
        vocabularySize = configuration.vocabularySize
        endOfText = Self.endOfText(of: configuration)
    }

    /// The tokens of no model, which has a row for each.
    init(_ tokenizer: Tokenizer, chatTemplate: ChatTemplate?, endOfText: Int32? = nil) {
        self.tokenizer = tokenizer
        self.chatTemplate = chatTemplate
        self.endOfText = endOfText
        vocabularySize = tokenizer.vocabularySize
    }

    /// The token that ends a document; nil if a model has none.
    public static func endOfText(of configuration: ModelConfiguration) -> Int32? {
        configuration.eosTokens.first.flatMap { token in
            (0..<configuration.vocabularySize).contains(token) ? Int32(token) : nil
        }
    }

    /// Tokens of a file: of a plain text, its own; of JSON lines, those of each document, with the
    /// end-of-text token behind each text, and conversations as the chat template has them.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`), naming the line or the token that the model does
    ///   not have.
    public func tokens(of file: TextFile) throws(ModelFileError) -> [Int32] {
        var text = MarkedText()
        try text.append(file, self, marking: .nothing)
        return text.tokens
    }

    /// Checks that the model has a row for each token of a text.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`), naming the token.
    func requireRows(
        of tokens: some Sequence<Int32>,
        in file: TextFile
    ) throws(ModelFileError) {
        let limit = Int32(vocabularySize)
        guard let marked = tokens.first(where: { MarkedToken.token($0) >= limit }) else { return }
        let token = MarkedToken.token(marked)
        let text = tokenizer.vocabulary[Int(token)]
        throw ModelFileError(
            .malformed,
            """
            \(file.name): the text holds \(text.debugDescription), token \(token), and the model's \
            embedding has \(vocabularySize) rows
            """
        )
    }

    /// Checks that a text holds no token that the model has no row for, by the token's text.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) with the token and where the text has it.
    public func requireRows(of file: TextFile) throws(ModelFileError) {
        for token in tokenizer.addedTokens where Int(token.id) >= vocabularySize {
            guard let offset = file.offset(of: token.text) else { continue }
            throw ModelFileError(
                .malformed,
                """
                \(file.name): \(token.text.debugDescription) at byte \(offset) is token \(token.id), \
                and the model's embedding has \(vocabularySize) rows
                """
            )
        }
    }

    /// Tokens of a file: all if they are fewer than `enough`, else at least so many.
    ///
    /// It tokenizes no more of a long text than it must. A long text's end may change how its last
    /// words are cut, so it takes a piece until that does not matter.
    ///
    /// - Throws: As ``tokens(of:)``, of the documents it comes to.
    public func count(in file: TextFile, upTo enough: Int) throws(ModelFileError) -> Int {
        guard enough > 0 else { return 0 }
        guard file.form == .plain else {
            var text = MarkedText()
            try text.append(file, self, marking: .nothing, upTo: enough)
            return text.tokens.count
        }
        defer { withExtendedLifetime(file) {} }
        let bytes = file.bytes
        var length = max(Self.firstPiece, enough < bytes.count / 8 ? enough * 8 : bytes.count)
        while length < bytes.count {
            // A cut within a character would make up a token.
            while length > 0, bytes[length] & 0xC0 == 0x80 { length -= 1 }
            let piece = UnsafeRawBufferPointer(rebasing: bytes[..<length])
            let count = tokenizer.encode(String(decoding: piece, as: UTF8.self)).count
            if count >= enough + enough / 8 + 64 { return count }
            length *= 4
        }
        return try tokens(of: file).count
    }

}

/// Texts as tokens.
public enum TextCorpus {
    /// Reads files as tokens.
    ///
    /// - Parameters:
    ///   - paths: The files; see ``TextFile``.
    ///   - key: Where the objects of JSON lines hold their text.
    ///   - tokens: The model's.
    /// - Returns: The tokens of the files, one after the other.
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public static func load(
        paths: [String],
        key: String = TextFile.defaultKey,
        _ tokens: TextTokens
    ) throws(ModelFileError) -> [Int32] {
        var joined: [Int32] = []
        for path in paths { joined += try tokens.tokens(of: TextFile(path: path, key: key)) }
        return joined
    }

    /// Reads files as tokens that say what of conversations is learned.
    ///
    /// `learnsAnswers`: Whether only what an assistant said is learned of conversations, or all of them.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public static func load(
        paths: [String],
        key: String,
        learnsAnswers: Bool,
        _ tokens: TextTokens
    ) throws(ModelFileError) -> MarkedText {
        var text = MarkedText()
        for path in paths {
            try text.append(
                TextFile(path: path, key: key),
                tokens,
                marking: learnsAnswers ? .answers : .documents
            )
        }
        return text
    }

    /// Reads the beginning of files likewise: documents, one after the other, until `isEnough` says so of all that
    /// was read.
    ///
    /// - Throws: As ``load(paths:key:learnsAnswers:_:)``, of the documents it comes to.
    public static func read(
        _ files: [TextFile],
        learnsAnswers: Bool,
        _ tokens: TextTokens,
        until isEnough: (MarkedText) -> Bool
    ) throws(ModelFileError) -> MarkedText {
        var text = MarkedText()
        var isOver = false
        for file in files where !isOver {
            try text.append(file, tokens, marking: learnsAnswers ? .answers : .documents) {
                isOver = isEnough($0)
                return isOver
            }
        }
        return text
    }

    /// Checks that files hold at least one window.
    ///
    /// - Parameters:
    ///   - length: Tokens of a window.
    ///   - files: The texts.
    ///   - isJoined: Whether a window may lie across files; otherwise one file has to hold it.
    ///   - tokens: The model's.
    /// - Throws: ``ModelFileError`` (`tooShort`), naming the files and both numbers.
    public static func requireWindow(
        of length: Int,
        in files: [TextFile],
        isJoined: Bool,
        _ tokens: TextTokens
    ) throws(ModelFileError) {
        var counts: [Int] = []
        for file in files {
            let found = isJoined ? counts.reduce(0, +) : 0
            counts.append(try tokens.count(in: file, upTo: length - found))
            if found + counts[counts.count - 1] >= length { return }
        }
        let names = files.map(\.name)
        let count = isJoined ? counts.reduce(0, +) : counts.max() ?? 0
        throw tooShort(count, length, names, isJoined)
    }

    /// Checks that a text makes at least one window.
    ///
    /// - Throws: ``ModelFileError`` (`tooShort`), naming the files and both numbers.
    public static func requireWindow(
        of length: Int,
        tokenCount: Int,
        paths: [String]
    ) throws(ModelFileError) {
        guard tokenCount < length else { return }
        let names = paths.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
        throw tooShort(tokenCount, length, names, true)
    }

    /// Windows that files hold end to end, one after the other: all if they are fewer than `enough`, else
    /// at least so many.
    ///
    /// - Throws: As ``TextTokens/count(in:upTo:)``.
    public static func windowCount(
        of length: Int,
        in files: [TextFile],
        upTo enough: Int,
        _ tokens: TextTokens
    ) throws(ModelFileError) -> Int {
        let (wanted, isHuge) = enough.multipliedReportingOverflow(by: length)
        var count = 0
        for file in files where isHuge || count < wanted {
            count += try tokens.count(in: file, upTo: isHuge ? .max : wanted - count)
        }
        return count / length
    }

    private static func tooShort(
        _ count: Int,
        _ length: Int,
        _ names: [String],
        _ isJoined: Bool
    ) -> ModelFileError {
        let list = names.prefix(8).joined(separator: ", ")
        let rest = names.count > 8 ? " and \(names.count - 8) more" : ""
        let longest = isJoined || names.count == 1 ? "" : "the longest text has "
        return ModelFileError(
            .tooShort,
            """
            \(list)\(rest): \(longest)\(count) tokens, fewer than one window of seq_length \(length); \
            take a longer text\(count < 2 ? "" : " or a seq_length of at most \(count)")
            """
        )
    }
}
