internal import Transformer

/// The tokens of texts with marks of what is learned of them; see ``MarkedToken``.
public struct MarkedText: Sendable {
    /// What of a text is marked.
    public enum Marking: Sendable {
        case nothing
        /// Where documents of JSON lines end.
        case documents
        /// That, and what of conversations is no answer: it is not learned.
        case answers
    }

    /// The tokens, one document's after the other's.
    public private(set) var tokens: [Int32] = []
    /// The places of each file's tokens.
    public private(set) var files: [Range<Int>] = []
    /// Whether one of the documents is a conversation.
    public private(set) var hasConversations = false

    /// No text.
    public init() {}

    /// Appends a file's documents, until there are `enough` tokens, or `isEnough` says so after one.
    ///
    /// - Throws: ``ModelFileError``, naming the line, or the token that the model does not have.
    mutating func append(
        _ file: TextFile,
        _ tokens: TextTokens,
        marking: Marking,
        upTo enough: Int = .max,
        until isEnough: (MarkedText) -> Bool = { _ in false }
    ) throws(ModelFileError) {
        let start = self.tokens.count
        var renderer: ChatTemplate.Renderer?
        var failure: ModelFileError?
        try file.forEachDocument { document in
            do throws(ModelFileError) {
                switch document {
                case .text(let text): append(text, of: file, tokens, marking: marking)
                case .conversation(let conversation, let place):
                    let rendering = try tokens.renderer(for: place, &renderer).render(
                        conversation,
                        findsAnswers: marking == .answers,
                        place: place
                    )
                    append(rendering, tokens, marking: marking)
                }
            } catch {
                failure = error
                return false
            }
            return self.tokens.count < enough && !isEnough(self)
        }
        if let failure { throw failure }
        files.append(start..<self.tokens.count)
        try tokens.requireRows(of: self.tokens[start...], in: file)
    }

    /// Appends tokens that nothing is known of but that they are learned.
    public mutating func append(_ tokens: [Int32]) { self.tokens += tokens }

    /// How much of a text with conversations is learned, for a log.
    public func conversationSentence(learnsAnswers: Bool) -> String {
        guard learnsAnswers else { return "conversations: all \(tokens.count) tokens are learned" }
        let learned = tokens.count { MarkedToken.isLearned($0) }
        return
            "conversations: \(learned) of \(tokens.count) tokens are answers or text, and are learned"
    }

    /// Takes all marks away: where no text holds a conversation, ends of documents are told by their token.
    public mutating func removeMarks() {
        for index in tokens.indices { tokens[index] = MarkedToken.token(tokens[index]) }
    }

    private mutating func append(
        _ text: String,
        of file: TextFile,
        _ tokens: TextTokens,
        marking: Marking
    ) {
        self.tokens += tokens.tokenizer.encode(text)
        guard file.form != .plain else { return }
        if let end = tokens.endOfText { self.tokens.append(end) }
        if marking != .nothing { markEnd() }
    }

    private mutating func append(
        _ rendering: ChatTemplate.Rendering,
        _ tokens: TextTokens,
        marking: Marking
    ) {
        hasConversations = true
        var new = tokens.tokenizer.encode(rendering.text)
        if marking == .answers {
            let answers = rendering.answers.map {
                AnswerTokens(of: $0, in: rendering.text, new, tokens.tokenizer)
            }
            // A row asks for the token behind it.
            if let last = self.tokens.indices.last { self.tokens[last] |= MarkedToken.silent }
            for index in new.indices
            where !answers.contains(where: { $0.range.contains(index + 1) }) {
                new[index] |= MarkedToken.silent
            }
        }
        self.tokens += new
        if marking != .nothing { markEnd() }
    }

    private mutating func markEnd() {
        if let last = tokens.indices.last { tokens[last] |= MarkedToken.documentEnd }
    }
}

/// Which tokens of a text are an answer's: all that hold a byte of it, as Hugging Face's
/// `return_assistant_tokens_mask` has them.
private struct AnswerTokens {
    let range: Range<Int>

    init(of bytes: Range<Int>, in text: String, _ tokens: [Int32], _ tokenizer: Tokenizer) {
        /// Tokens that the text up to a byte has in common with all of it, and whether it has more.
        func common(_ offset: Int) -> (count: Int, isWhole: Bool) {
            let piece = tokenizer.encode(String(decoding: text.utf8.prefix(offset), as: UTF8.self))
            var count = 0
            while count < min(piece.count, tokens.count), piece[count] == tokens[count] {
                count += 1
            }
            return (count, count == piece.count)
        }
        guard !bytes.isEmpty else {
            range = 0..<0
            return
        }
        let start = common(bytes.lowerBound).count
        let end = common(bytes.upperBound)
        range = start..<max(start, end.isWhole ? end.count : min(end.count + 1, tokens.count))
    }
}

extension TextTokens {
    /// What renders conversations, made once.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) with `place` if the model has no chat template, or one
    ///   that is not rendered here.
    fileprivate func renderer(
        for place: String,
        _ known: inout ChatTemplate.Renderer?
    ) throws(ModelFileError) -> ChatTemplate.Renderer {
        if let known { return known }
        guard let chatTemplate else {
            throw ModelFileError(
                .unsupported,
                """
                \(place): a conversation, and the model has no chat template; write each one as a text \
                under "text"
                """
            )
        }
        let new = try chatTemplate.renderer()
        known = new
        return new
    }

    /// A document's text, a conversation's by its template; the renderer is made once.
    ///
    /// - Throws: As ``ChatTemplate/Renderer/render(_:findsAnswers:place:)``.
    func text(
        of document: TextDocument,
        _ renderer: inout ChatTemplate.Renderer?
    ) throws(ModelFileError) -> String {
        switch document {
        case .text(let text): return text
        case .conversation(let conversation, let place):
            return try self.renderer(for: place, &renderer).render(
                conversation,
                findsAnswers: false,
                place: place
            ).text
        }
    }

    /// Checks that all conversations of a file can be rendered, and says whether there are any.
    ///
    /// `findsAnswers`: Whether the places of answers are wanted, too.
    ///
    /// - Throws: ``ModelFileError`` with the line.
    public func checkConversations(
        in file: TextFile,
        findsAnswers: Bool
    ) throws(ModelFileError) -> Bool {
        var renderer: ChatTemplate.Renderer?
        var failure: ModelFileError?
        try file.forEachDocument { document in
            guard case .conversation(let conversation, let place) = document else { return true }
            do throws(ModelFileError) {
                _ = try self.renderer(for: place, &renderer).render(
                    conversation,
                    findsAnswers: findsAnswers,
                    place: place
                )
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        return renderer != nil
    }
}
