/// A byte-level BPE tokenizer, equal to Hugging Face's `tokenizers` on the models it reads.
public struct Tokenizer: Sendable {
    /// A token that is found in the text before anything else.
    public struct AddedToken: Sendable, Equatable {
        /// The token's text.
        public let text: String
        /// The token's number.
        public let id: Int32
        /// Whether it controls rather than says something.
        public let isSpecial: Bool

        /// An added token.
        public init(text: String, id: Int32, isSpecial: Bool) {
            self.text = text
            self.id = id
            self.isSpecial = isSpecial
        }
    }

    /// Unicode normalization before splitting.
    public enum Normalization: String, Sendable {
        /// The text as it is.
        case none
        /// Canonical composition.
        case nfc
    }

    /// How the text is split before merging.
    public let preTokenizer: PreTokenizer
    /// Normalization of text outside added tokens.
    public let normalization: Normalization
    /// Tokens by number, in byte characters; added tokens as they are.
    public let vocabulary: [String]
    /// Merges in order of rank.
    public let merges: [(String, String)]
    /// Tokens found before anything else.
    public let addedTokens: [AddedToken]

    private let index: MergeIndex
    private let addedByFirstScalar: [Unicode.Scalar: [AddedToken]]
    private let pieces: [[UInt8]]

    /// Builds a tokenizer.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`) if a merge names no token.
    public init(
        vocabulary: [String],
        merges: [(String, String)],
        addedTokens: [AddedToken],
        preTokenizer: PreTokenizer,
        normalization: Normalization = .none,
        ignoresMerges: Bool = false
    ) throws(ModelFileError) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.addedTokens = addedTokens
        self.preTokenizer = preTokenizer
        self.normalization = normalization
        let added = Set(addedTokens.map(\.id))
        pieces = vocabulary.enumerated().map { id, token in
            added.contains(Int32(id))
                ? Array(token.utf8) : ByteAlphabet.bytes(of: token) ?? Array(token.utf8)
        }
        index = try MergeIndex(
            vocabulary: vocabulary,
            merges: merges,
            ignoresMerges: ignoresMerges
        )
        var byFirst: [Unicode.Scalar: [AddedToken]] = [:]
        // Longest first: the leftmost longest added token wins.
        for token in addedTokens.sorted(by: { $0.text.utf8.count > $1.text.utf8.count }) {
            if let first = token.text.unicodeScalars.first {
                byFirst[first, default: []].append(token)
            }
        }
        addedByFirstScalar = byFirst
    }

    /// Number of tokens.
    public var vocabularySize: Int { vocabulary.count }

    /// The tokens of a text, without any added at its ends.
    public func encode(_ text: String) -> [Int32] {
        var output: [Int32] = []
        var cache: [String: [Int32]] = [:]
        let scalars = Array(text.unicodeScalars)
        var start = 0
        var position = 0
        while position < scalars.count {
            guard let token = addedToken(in: scalars, at: position) else {
                position += 1
                continue
            }
            encodePlain(scalars[start..<position], &output, &cache)
            output.append(token.id)
            position += token.text.unicodeScalars.count
            start = position
        }
        encodePlain(scalars[start..<scalars.count], &output, &cache)
        return output
    }

    /// The text of tokens; broken UTF-8 becomes replacement characters, unknown tokens nothing.
    public func decode(_ tokens: [Int32]) -> String {
        var bytes: [UInt8] = []
        for token in tokens where pieces.indices.contains(Int(token)) {
            bytes.append(contentsOf: pieces[Int(token)])
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func addedToken(in scalars: [Unicode.Scalar], at position: Int) -> AddedToken? {
        guard let candidates = addedByFirstScalar[scalars[position]] else {
            return nil
        }
        return candidates.first { token in
            var index = position
            for scalar in token.text.unicodeScalars {
                guard index < scalars.count, scalars[index] == scalar else {
                    return false
                }
                index += 1
            }
            return true
        }
    }

    private func encodePlain(
        _ slice: ArraySlice<Unicode.Scalar>,
        _ output: inout [Int32],
        _ cache: inout [String: [Int32]]
    ) {
        guard !slice.isEmpty else {
            return
        }
        var scalars = Array(slice)
        if normalization == .nfc {
            scalars = UnicodeNormalization.nfc(scalars)
        }
        preTokenizer.forEachPiece(scalars) { range in
            var piece = String.UnicodeScalarView()
            piece.append(contentsOf: scalars[range])
            let text = String(piece)
            if let known = cache[text] {
                output.append(contentsOf: known)
                return
            }
            let ids = index.encode(Array(text.utf8))
            output.append(contentsOf: ids)
            if range.count <= 32 {
                cache[text] = ids
            }
        }
    }
}
