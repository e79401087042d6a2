/// A BPE tokenizer, equal to Hugging Face's `tokenizers` and to SentencePiece on what it reads:
/// a chain of stages, each of them data.
///
/// - SeeAlso: `docs/TOKENIZERS.md`.
public struct Tokenizer: Sendable {
    /// How pieces become tokens.
    enum Model: Sendable {
        case bytePairs(BytePairModel)
        case scores(PieceScoreModel)
    }

    /// How the text is split before merging.
    public let preTokenizer: PreTokenizer
    /// Tokens by number, in byte characters for a byte-level one; added tokens as they are; `[PAD…]`
    /// where the file has none.
    public let vocabulary: [String]
    /// Merges in order of rank; none if the vocabulary has scores.
    public let merges: [(String, String)]
    /// Tokens found before anything else.
    public let addedTokens: [AddedToken]
    /// What ``encode(_:addingSpecialTokens:)`` puts before and after a text.
    public let addedAtStart: [Int32]
    /// What ``encode(_:addingSpecialTokens:)`` puts after a text.
    public let addedAtEnd: [Int32]

    let normalizer: [NormalizerStep]
    let decoder: [DecoderStep]?
    let model: Model
    private let rawMatcher: AddedTokenMatcher
    private let normalizedMatcher: AddedTokenMatcher
    private let addedTexts: [Int32: String]

    /// What a tokenizer is made of beside its model.
    struct Stages {
        var addedTokens: [AddedToken] = []
        var normalizer: [NormalizerStep] = []
        var preTokenizer = PreTokenizer.none
        /// nil joins tokens with spaces.
        var decoder: [DecoderStep]? = [.byteLevel]
        var addedAtStart: [Int32] = []
        var addedAtEnd: [Int32] = []
    }

    /// Builds a tokenizer of merges.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if a merge names no token.
    public init(
        vocabulary: [String],
        merges: [(String, String)],
        addedTokens: [AddedToken],
        preTokenizer: PreTokenizer
    ) throws(ModelFileError) {
        try self.init(
            vocabulary: vocabulary,
            merges: merges,
            options: .init(),
            stages: Stages(addedTokens: addedTokens, preTokenizer: preTokenizer)
        )
    }

    /// Builds a tokenizer of merges; all tokens but those that `isModelToken` leaves out can come of
    /// merging.
    init(
        vocabulary: [String],
        merges: [(String, String)],
        options: BytePairModel.Options,
        stages: Stages,
        isModelToken: (Int) -> Bool = { _ in true }
    ) throws(ModelFileError) {
        let model = try BytePairModel(
            vocabulary: vocabulary.enumerated().filter { isModelToken($0.offset) }
                .map { (text: $0.element, id: Int32($0.offset)) },
            merges: merges,
            isByteLevel: stages.preTokenizer.isByteLevel,
            options: options
        )
        self.init(vocabulary: vocabulary, merges: merges, .bytePairs(model), stages)
    }

    /// Builds a tokenizer of scores.
    init(vocabulary: [String], scores model: PieceScoreModel, stages: Stages) {
        self.init(vocabulary: vocabulary, merges: [], .scores(model), stages)
    }

    private init(
        vocabulary: [String],
        merges: [(String, String)],
        _ model: Model,
        _ stages: Stages
    ) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.model = model
        addedTokens = stages.addedTokens
        normalizer = stages.normalizer
        preTokenizer = stages.preTokenizer
        decoder = stages.decoder
        addedAtStart = stages.addedAtStart
        addedAtEnd = stages.addedAtEnd
        addedTexts = Dictionary(
            stages.addedTokens.map { ($0.id, $0.text) },
            uniquingKeysWith: { first, _ in first }
        )
        rawMatcher = AddedTokenMatcher(stages.addedTokens.filter { !$0.isNormalized })
        let steps = stages.normalizer
        normalizedMatcher = AddedTokenMatcher(stages.addedTokens.filter(\.isNormalized)) { text in
            var view = String.UnicodeScalarView()
            view.append(contentsOf: steps.reduce(Array(text.unicodeScalars)) { $1.apply($0) })
            return String(view)
        }
    }

    /// Number of tokens.
    public var vocabularySize: Int { vocabulary.count }

    /// The tokens of a text, with what the model wants at its ends if asked for.
    ///
    /// Tokens that are found in the text are encoded as such either way.
    public func encode(_ text: String, addingSpecialTokens: Bool) -> [Int32] {
        addingSpecialTokens ? addedAtStart + encode(text) + addedAtEnd : encode(text)
    }

    /// The tokens of a text, without any added at its ends.
    public func encode(_ text: String) -> [Int32] {
        var output: [Int32] = []
        var cache = PieceCache()
        var text = text
        text.withUTF8 { bytes in
            for span in rawMatcher.spans(of: bytes) {
                if let token = span.token {
                    output.append(token)
                } else if !span.range.isEmpty {
                    encodeNormalized(
                        UnsafeBufferPointer(rebasing: bytes[span.range]),
                        beginsInput: span.range.lowerBound == 0,
                        &output,
                        &cache
                    )
                }
            }
        }
        return output
    }

    /// The text of tokens; broken UTF-8 becomes replacement characters, unknown tokens nothing.
    public func decode(_ tokens: [Int32]) -> String {
        guard let decoder else {
            return tokens.compactMap { vocabulary.indices.contains(Int($0)) ? text(of: $0) : nil }
                .joined(separator: " ")
        }
        var bytes: [UInt8] = []
        if decoder == [.byteLevel] {
            // An added token's characters are no stand-ins for bytes.
            for token in tokens where vocabulary.indices.contains(Int(token)) {
                let text = text(of: token)
                bytes +=
                    addedTexts[token] == nil
                    ? ByteAlphabet.bytes(of: text) ?? Array(text.utf8) : Array(text.utf8)
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        // Other decoders see added tokens among the rest, as the library's do.
        let run = tokens.compactMap { token in
            vocabulary.indices.contains(Int(token)) ? Array(text(of: token).utf8) : nil
        }
        for text in decoder.reduce(run, { $1.apply($0) }) { bytes += text }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes that a token adds to a text, wherever it stands but at the beginning; none of an unknown one.
    ///
    /// A token may be a part of a character.
    public func bytes(of token: Int32) -> [UInt8] {
        guard vocabulary.indices.contains(Int(token)) else { return [] }
        let text = text(of: token)
        guard addedTexts[token] == nil else { return Array(text.utf8) }
        if decoder == [.byteLevel] { return ByteAlphabet.bytes(of: text) ?? Array(text.utf8) }
        if let byte = ByteAlphabet.fallbackByte(of: Array(text.utf8)) { return [byte] }
        // What a second one adds: the first may lose the space before it.
        let (one, two) = (decode([token]).utf8, decode([token, token]).utf8)
        return Array(two.dropFirst(one.count))
    }

    private func text(of token: Int32) -> String { addedTexts[token] ?? vocabulary[Int(token)] }

    private func encodeNormalized(
        _ bytes: UnsafeBufferPointer<UInt8>,
        beginsInput: Bool,
        _ output: inout [Int32],
        _ cache: inout PieceCache
    ) {
        var scalars = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
        for step in normalizer { scalars = step.apply(scalars) }
        guard !normalizedMatcher.isEmpty else {
            return encodePlain(PieceList(scalars, beginsInput: beginsInput), &output, &cache)
        }
        let utf8 = PieceList(scalars, beginsInput: beginsInput).utf8().bytes
        utf8.withUnsafeBufferPointer { buffer in
            for span in normalizedMatcher.spans(of: buffer) {
                if let token = span.token {
                    output.append(token)
                    continue
                }
                let part = String(decoding: buffer[span.range], as: UTF8.self)
                encodePlain(
                    PieceList(
                        Array(part.unicodeScalars),
                        beginsInput: beginsInput && span.range.lowerBound == 0
                    ),
                    &output,
                    &cache
                )
            }
        }
    }

    private func encodePlain(
        _ text: PieceList,
        _ output: inout [Int32],
        _ cache: inout PieceCache
    ) {
        var list = text
        preTokenizer.split(&list)
        let (bytes, ends) = list.utf8()
        bytes.withUnsafeBufferPointer { buffer in
            var start = 0
            for end in ends {
                let piece = UnsafeBufferPointer(rebasing: buffer[start..<end])
                start = end
                if cache.append(piece, to: &output) { continue }
                let ids =
                    switch model {
                    case .bytePairs(let model): model.encode(piece)
                    case .scores(let model): model.encode(piece)
                    }
                output.append(contentsOf: ids)
                cache.insert(piece, ids)
            }
        }
    }
}

extension Tokenizer {
    /// A token that is found in the text before anything else.
    public struct AddedToken: Sendable, Equatable {
        /// The token's text.
        public let text: String
        /// The token's number.
        public let id: Int32
        /// Whether it controls rather than says something.
        public let isSpecial: Bool
        /// Whether it takes in white space before it.
        public var stripsLeft = false
        /// Whether it takes in white space after it.
        public var stripsRight = false
        /// Whether it is found only where no word goes on at its ends.
        public var isSingleWord = false
        /// Whether it is looked for in the normalized text.
        public var isNormalized = false

        /// An added token that is found wherever its text is.
        public init(text: String, id: Int32, isSpecial: Bool) {
            self.text = text
            self.id = id
            self.isSpecial = isSpecial
        }

        /// Equal bytes, not canonically equivalent texts.
        public static func == (left: Self, right: Self) -> Bool {
            left.text.utf8.elementsEqual(right.text.utf8) && left.id == right.id
                && left.isSpecial == right.isSpecial && left.stripsLeft == right.stripsLeft
                && left.stripsRight == right.stripsRight
                && left.isSingleWord == right.isSingleWord
                && left.isNormalized == right.isNormalized
        }
    }
}

/// Tokens of pieces that a text has had already.
private struct PieceCache {
    private var table = TokenTable()
    private var ids: [Int32] = []
    private var ends = [0]

    private static let pieceLimit = 64
    private static let countLimit = 1 << 18

    /// Appends a known piece's tokens; false if it is not known.
    func append(_ piece: UnsafeBufferPointer<UInt8>, to output: inout [Int32]) -> Bool {
        guard piece.count <= Self.pieceLimit, let entry = table[piece] else { return false }
        output.append(contentsOf: ids[ends[Int(entry)]..<ends[Int(entry) + 1]])
        return true
    }

    mutating func insert(_ piece: UnsafeBufferPointer<UInt8>, _ tokens: [Int32]) {
        guard piece.count <= Self.pieceLimit, table.count < Self.countLimit else { return }
        table.insert(piece, Int32(table.count))
        ids.append(contentsOf: tokens)
        ends.append(ids.count)
    }
}
