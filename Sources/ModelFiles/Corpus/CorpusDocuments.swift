public import Transformer

/// Some of the documents of corpora that are numbered through, one corpus behind the other: all, or the
/// share that a training reads.
public struct CorpusDocuments: Sendable {
    /// The corpora.
    public let corpora: [IndexedCorpus]
    /// The documents of all corpora that these are.
    public let range: Range<Int>
    /// Tokens in them.
    public let tokenCount: Int
    /// Tokens before them.
    private let firstToken: Int
    /// Documents before each corpus, and all.
    private let documentStarts: [Int]
    /// Tokens before each corpus, and all.
    private let tokenStarts: [Int]

    /// All documents of corpora.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) of more documents than Megatron numbers, 2³¹ - 1.
    public init(_ corpora: [IndexedCorpus]) throws(ModelFileError) {
        var (documents, tokens) = ([0], [0])
        for corpus in corpora {
            documents.append(documents[documents.count - 1] + corpus.documentCount)
            tokens.append(tokens[tokens.count - 1] + corpus.tokenCount)
        }
        let count = documents[corpora.count]
        guard count <= Int(Int32.max) else {
            throw ModelFileError(
                .unsupported,
                "the corpora have \(count) documents together; at most \(Int32.max) are numbered"
            )
        }
        self.corpora = corpora
        documentStarts = documents
        tokenStarts = tokens
        range = 0..<count
        firstToken = 0
        tokenCount = tokens[corpora.count]
    }

    /// Those of them in a range, within ``range``.
    public func documents(_ range: Range<Int>) -> CorpusDocuments { CorpusDocuments(self, range) }

    private init(_ all: CorpusDocuments, _ range: Range<Int>) {
        precondition(
            all.range.lowerBound <= range.lowerBound && range.upperBound <= all.range.upperBound,
            "documents \(range) of \(all.range)"
        )
        corpora = all.corpora
        documentStarts = all.documentStarts
        tokenStarts = all.tokenStarts
        self.range = range
        firstToken = all.start(of: range.lowerBound)
        tokenCount = all.start(of: range.upperBound) - firstToken
    }

    /// The tokens of a document, by its number among all.
    func length(of document: Int) -> Int {
        let corpus = place(of: document, in: documentStarts)
        return corpora[corpus].length(of: document - documentStarts[corpus])
    }

    /// Tokens before a document, of all corpora.
    private func start(of document: Int) -> Int {
        guard document < documentStarts[corpora.count] else { return tokenStarts[corpora.count] }
        let corpus = place(of: document, in: documentStarts)
        return tokenStarts[corpus]
            + corpora[corpus].start(of: document - documentStarts[corpus])
    }

    /// Copies some of a document's tokens, by its number among all.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) for a token that the model has no row for.
    func copy(
        _ range: Range<Int>,
        of document: Int,
        to target: UnsafeMutablePointer<Int32>,
        vocabularySize: Int
    ) throws(ModelFileError) {
        let corpus = place(of: document, in: documentStarts)
        let start = corpora[corpus].start(of: document - documentStarts[corpus])
        try corpora[corpus].copy(
            start + range.lowerBound..<start + range.upperBound,
            to: target,
            vocabularySize: vocabularySize
        )
    }

    /// Hands out the parts of corpora that a range of these documents' tokens lies in.
    fileprivate func forEachPart(
        _ range: Range<Int>,
        _ body: (IndexedCorpus, Range<Int>) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
        let (lower, upper) = (firstToken + range.lowerBound, firstToken + range.upperBound)
        for index in corpora.indices {
            let start = max(lower, tokenStarts[index])
            let end = min(upper, tokenStarts[index + 1])
            guard start < end else { continue }
            try body(corpora[index], start - tokenStarts[index]..<end - tokenStarts[index])
        }
    }

    /// Whether one of the first documents, a thousand at most, ends with a token.
    public func hasEnd(_ token: Int32) -> Bool {
        range.prefix(1000).contains { document in
            let length = length(of: document)
            guard length > 0 else { return false }
            var last: Int32 = -1
            try? copy(
                length - 1..<length,
                of: document,
                to: &last,
                vocabularySize: Int(Int32.max)
            )
            return last == token
        }
    }

    /// How many of the first thousand documents hold a token before their last one, as conversations do whose
    /// turns end with it; of a long document its first hundred thousand tokens are looked at.
    public func innerEndCount(_ token: Int32) -> Int {
        range.prefix(1000).count { document in
            let count = min(length(of: document) - 1, 100_000)
            guard count > 0 else { return false }
            var tokens = [Int32](repeating: -1, count: count)
            try? copy(0..<count, of: document, to: &tokens, vocabularySize: Int(Int32.max))
            return tokens.contains(token)
        }
    }

    /// Reads all tokens, and checks that a model has a row for each.
    ///
    /// `onRead`: Told every hundred megabytes or so how many tokens are read; throwing stops.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) for the first one that it has not, with its place.
    public func check(
        vocabularySize: Int,
        onRead: (Int) throws -> Void = { _ in }
    ) throws {
        let step = 1 << 25
        for start in stride(from: 0, to: tokenCount, by: step) {
            let end = min(start + step, tokenCount)
            try forEachPart(start..<end) { corpus, range throws(ModelFileError) in
                try corpus.check(range, vocabularySize: vocabularySize)
            }
            try onRead(end)
        }
    }

    /// The last corpus that begins at a number or before it.
    private func place(of number: Int, in starts: [Int]) -> Int {
        var (low, high) = (0, corpora.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= number { low = middle } else { high = middle }
        }
        return low
    }
}

/// Documents as one text: their tokens in the order in which they are stored.
public struct CorpusText: TokenText {
    private let parts: [CorpusDocuments]
    private let vocabularySize: Int
    /// Tokens of all documents.
    public let count: Int

    /// The text of documents for a model with so many tokens.
    public init(_ documents: CorpusDocuments, vocabularySize: Int) {
        self.init([documents], vocabularySize: vocabularySize)
    }

    /// The text of several sets of documents, one behind the other.
    public init(_ parts: [CorpusDocuments], vocabularySize: Int) {
        self.parts = parts
        self.vocabularySize = vocabularySize
        count = parts.reduce(0) { $0 + $1.tokenCount }
    }

    /// Copies tokens.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) for a token that the model has no row for, with its place.
    public func copy(_ range: Range<Int>, to target: UnsafeMutablePointer<Int32>) throws {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "copy: \(range)")
        var end = target
        /// Tokens of the parts before.
        var before = 0
        for documents in parts {
            let own = range.clamped(to: before..<before + documents.tokenCount)
            before += documents.tokenCount
            guard !own.isEmpty else { continue }
            let start = before - documents.tokenCount
            try documents.forEachPart(own.lowerBound - start..<own.upperBound - start) {
                corpus,
                part throws(ModelFileError) in
                try corpus.copy(part, to: end, vocabularySize: vocabularySize)
                end += part.count
            }
        }
    }
}
