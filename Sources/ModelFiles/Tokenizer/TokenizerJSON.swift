/// Reads and writes Hugging Face's tokenizer.json.
///
/// Every key is used, known to change nothing, or refused by name.
enum TokenizerJSON {
    /// The file's parts; the vocabulary apart, as its keys are compared byte by byte.
    struct Parts {
        var root: JSONObject
        var vocabulary: [(text: String, id: Int32)]?
    }

    private static let valueLimit = 8 << 20
    private static let vocabularyLimit = 1 << 22

    static func parse(_ bytes: [UInt8], path: String) throws(ModelFileError) -> Tokenizer {
        let parts = try parts(bytes, path: path)
        let root = parts.root
        // The library's callers set truncation and padding themselves.
        try root.expectOnly([
            "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
            "post_processor", "decoder", "model",
        ])
        guard let model = try root.object("model") else {
            throw ModelFileError(.malformed, "\(path): model is missing")
        }
        let (options, merges) = try bytePairs(model)
        guard let tokens = parts.vocabulary else {
            throw ModelFileError(.malformed, "\(model.place): vocab is missing")
        }
        var stages = Tokenizer.Stages()
        stages.addedTokens = try addedTokens(root)
        let vocabulary = try vocabulary(tokens, added: stages.addedTokens, path: path)
        stages.normalizer = try root.object("normalizer").map(normalizer) ?? []
        try checkGrowth(stages.normalizer, path: path)
        stages.preTokenizer = PreTokenizer(
            steps: try root.object("pre_tokenizer").map(preTokenizer) ?? []
        )
        try checkByteLevelIsLast(stages.preTokenizer, path: path)
        stages.decoder = try root.object("decoder").map(decoder)
        if let processor = try root.object("post_processor") {
            let added = try postProcessor(processor)
            for id in added.start + added.end where !vocabulary.indices.contains(Int(id)) {
                throw ModelFileError(
                    .malformed,
                    "\(processor.place): adds token \(id) of \(vocabulary.count)"
                )
            }
            (stages.addedAtStart, stages.addedAtEnd) = added
        }
        let ids = Set(tokens.map(\.id))
        return try Tokenizer(
            vocabulary: vocabulary,
            merges: merges,
            options: options,
            stages: stages,
            isModelToken: { ids.contains(Int32($0)) }
        )
    }

    /// A small file must not make a text many times as long.
    private static func checkGrowth(
        _ steps: [NormalizerStep],
        path: String
    ) throws(ModelFileError) {
        var growth = 1
        for step in steps {
            let length =
                switch step {
                case .replace(_, let content), .prepend(let content): content.count
                default: 1
                }
            growth = growth.multipliedReportingOverflow(by: max(1, length)).partialValue
            guard length <= growthLimit, growth <= growthLimit else {
                throw ModelFileError(
                    .unsupported,
                    "\(path): normalizer makes a text more than \(growthLimit) times as long"
                )
            }
        }
    }

    private static let growthLimit = 4096

    private static func checkByteLevelIsLast(
        _ preTokenizer: PreTokenizer,
        path: String
    ) throws(ModelFileError) {
        for step in preTokenizer.steps.dropLast() {
            if case .byteLevel = step {
                throw ModelFileError(
                    .unsupported,
                    "\(path): pre_tokenizer: ByteLevel before other steps is not read"
                )
            }
        }
    }

    /// Scans the outer two levels, so that `model.vocab` never becomes a dictionary of texts, which
    /// takes canonically equivalent tokens for one.
    private static func parts(_ bytes: [UInt8], path: String) throws(ModelFileError) -> Parts {
        // Typed throws do not pass through withUnsafeBytes.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ModelFileError) in
                var scanner = JSONScanner(buffer, path: path)
                var budget = valueLimit
                var vocabulary: [(text: String, id: Int32)]?
                let root = try members(&scanner) { key, scanner throws(ModelFileError) in
                    guard key == "model", scanner.peek() == UInt8(ascii: "{") else {
                        return try JSONValue.parse(&scanner, depth: 1, budget: &budget)
                    }
                    let model = try members(&scanner) { key, scanner throws(ModelFileError) in
                        guard key == "vocab", scanner.peek() == UInt8(ascii: "{") else {
                            return try JSONValue.parse(&scanner, depth: 2, budget: &budget)
                        }
                        vocabulary = try tokens(&scanner)
                        return .null
                    }
                    return .object(model)
                }
                try scanner.expectEnd()
                return Parts(
                    root: JSONObject(members: root, place: path),
                    vocabulary: vocabulary
                )
            }
        }
        return try result.get()
    }

    private static func members(
        _ scanner: inout JSONScanner,
        _ value: (String, inout JSONScanner) throws(ModelFileError) -> JSONValue
    ) throws(ModelFileError) -> [String: JSONValue] {
        try scanner.expect("{")
        var members: [String: JSONValue] = [:]
        var isMore = !scanner.take("}")
        while isMore {
            let key = try scanner.string()
            try scanner.expect(":")
            guard members.updateValue(try value(key, &scanner), forKey: key) == nil else {
                throw scanner.failure("\(key.debugDescription) a second time")
            }
            isMore = try scanner.hasNext(before: "}")
        }
        return members
    }

    private static func tokens(
        _ scanner: inout JSONScanner
    ) throws(ModelFileError) -> [(text: String, id: Int32)] {
        try scanner.expect("{")
        var tokens: [(text: String, id: Int32)] = []
        var seen = TokenTable()
        var isMore = !scanner.take("}")
        while isMore {
            let text = try scanner.string()
            try scanner.expect(":")
            guard tokens.count < vocabularyLimit, case .integer(let id) = try scanner.number(),
                (0..<vocabularyLimit).contains(id)
            else {
                throw scanner.failure(
                    "no number below \(vocabularyLimit) for the token \(text.debugDescription)"
                )
            }
            guard seen.insert(text, Int32(id)) == nil else {
                throw scanner.failure("the token \(text.debugDescription) a second time")
            }
            tokens.append((text, Int32(id)))
            isMore = try scanner.hasNext(before: "}")
        }
        return tokens
    }

    /// Tokens by number.
    ///
    /// Numbers may have holes, but not so many that a small file takes much memory.
    static func vocabulary(
        _ tokens: [(text: String, id: Int32)],
        added: [Tokenizer.AddedToken],
        path: String
    ) throws(ModelFileError) -> [String] {
        let highest = max(tokens.map(\.id).max() ?? -1, added.map(\.id).max() ?? -1)
        let limit = min(vocabularyLimit, tokens.count + added.count + 1 << 17)
        guard highest >= 0, Int(highest) < limit else {
            throw ModelFileError(
                .malformed,
                """
                \(path): vocabulary numbers reach \(highest); \(tokens.count) tokens may have \
                numbers below \(limit)
                """
            )
        }
        var vocabulary = [String?](repeating: nil, count: Int(highest) + 1)
        var ids = TokenTable(capacity: tokens.count + added.count)
        for (text, id) in tokens {
            if let other = vocabulary[Int(id)] {
                throw ModelFileError(
                    .malformed,
                    "\(path): tokens \(text) and \(other) both have the number \(id)"
                )
            }
            vocabulary[Int(id)] = text
            ids.insert(text, id)
        }
        for token in added {
            let known = ids.insert(token.text, token.id)
            let other = vocabulary[Int(token.id)]
            guard known ?? token.id == token.id,
                other.map({ $0.utf8.elementsEqual(token.text.utf8) }) ?? true
            else {
                throw ModelFileError(
                    .malformed,
                    """
                    \(path): added token \(token.text) has the number \(token.id), which is \
                    \(other ?? "not its own: it is also \(known ?? -1)")
                    """
                )
            }
            vocabulary[Int(token.id)] = token.text
        }
        return vocabulary.enumerated().map { $1 ?? "[PAD\($0)]" }
    }

    private static func bytePairs(
        _ model: JSONObject
    ) throws(ModelFileError) -> (BytePairModel.Options, [(String, String)]) {
        let type = try model.text("type") ?? "BPE"
        guard type == "BPE" else {
            throw ModelFileError(
                .unsupported,
                "\(model.place): type \(type) is not read; BPE is"
            )
        }
        try model.expectOnly([
            "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
            "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges",
        ])
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let text = try model.text(key), !text.isEmpty {
                throw ModelFileError(.unsupported, "\(model.place): \(key) \(text) is not read")
            }
        }
        if let dropout = try model.number("dropout"), dropout != 0 {
            throw ModelFileError(
                .unsupported,
                "\(model.place): dropout \(dropout) makes tokens random; set it to null"
            )
        }
        guard let list = try model.list("merges") else {
            throw ModelFileError(.malformed, "\(model.place): merges is missing")
        }
        var merges: [(String, String)] = []
        merges.reserveCapacity(list.count)
        for (rank, merge) in list.enumerated() {
            merges.append(try pair(merge, rank: rank, place: model.place))
        }
        let options = BytePairModel.Options(
            hasByteFallback: try model.flag("byte_fallback") ?? false,
            unknownToken: try model.text("unk_token"),
            fusesUnknown: try model.flag("fuse_unk") ?? false,
            ignoresMerges: try model.flag("ignore_merges") ?? false
        )
        return (options, merges)
    }

    private static func pair(
        _ merge: JSONValue,
        rank: Int,
        place: String
    ) throws(ModelFileError) -> (String, String) {
        switch merge {
        case .text(let text):
            if let pair = pair(text) { return pair }
        case .list(let parts):
            if parts.count == 2, case .text(let left) = parts[0], case .text(let right) = parts[1] {
                return (left, right)
            }
        default: break
        }
        throw ModelFileError(.malformed, "\(place): merge \(rank) is not two tokens")
    }

    /// The halves of a text with one space, byte by byte: a mark after the space is part of no
    /// character here.
    static func pair(_ text: String) -> (String, String)? {
        let parts = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 2, let left = String(parts[0]), let right = String(parts[1]) else {
            return nil
        }
        return (left, right)
    }

    private static func addedTokens(
        _ root: JSONObject
    ) throws(ModelFileError) -> [Tokenizer.AddedToken] {
        var tokens: [Tokenizer.AddedToken] = []
        var seen = Set<Int32>()
        for entry in try root.objects(in: "added_tokens") ?? [] {
            try entry.expectOnly([
                "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special",
            ])
            guard let text = try entry.text("content"), !text.isEmpty,
                let id = try entry.integer("id"), (0..<vocabularyLimit).contains(id)
            else {
                throw ModelFileError(
                    .malformed,
                    "\(entry.place): an added token lacks content or id"
                )
            }
            guard seen.insert(Int32(id)).inserted else {
                throw ModelFileError(
                    .malformed,
                    "\(entry.place): two added tokens have the number \(id)"
                )
            }
            tokens.append(try addedToken(text, id, entry))
        }
        return tokens
    }

    /// An added token with the flags of its entry, here and in tokenizer_config.json.
    static func addedToken(
        _ text: String,
        _ id: Int,
        _ entry: JSONObject
    ) throws(ModelFileError) -> Tokenizer.AddedToken {
        let isSpecial = try entry.flag("special") ?? false
        var token = Tokenizer.AddedToken(text: text, id: Int32(id), isSpecial: isSpecial)
        token.stripsLeft = try entry.flag("lstrip") ?? false
        token.stripsRight = try entry.flag("rstrip") ?? false
        token.isSingleWord = try entry.flag("single_word") ?? false
        token.isNormalized = try entry.flag("normalized") ?? !isSpecial
        return token
    }
}

extension JSONObject {
    /// Refuses a key that nothing reads.
    func expectOnly(_ keys: Set<String>) throws(ModelFileError) {
        for key in members.keys.sorted() where !keys.contains(key) {
            throw ModelFileError(.unsupported, "\(place): \(key) is not known, so it is not read")
        }
    }
}

extension Tokenizer {
    /// Reads a tokenizer.json.
    ///
    /// - Throws: ``ModelFileError``; `unsupported` names what is not read.
    public init(tokenizerJSON bytes: [UInt8], path: String = "tokenizer.json")
        throws(ModelFileError)
    {
        self = try TokenizerJSON.parse(bytes, path: path)
    }
}
