internal import Foundation

extension TokenizerJSON {
    /// A tokenizer.json that Hugging Face's library reads to the same tokenizer.
    ///
    /// Scores become merges, as that library's own conversion makes them.
    static func render(_ tokenizer: Tokenizer) throws(ModelFileError) -> [UInt8] {
        var root: [String: Any] = [
            "version": "1.0",
            "truncation": NSNull(),
            "padding": NSNull(),
            "added_tokens": try addedTokens(tokenizer).map(render),
            "normalizer": sequence(tokenizer.normalizer.map(render), "normalizers"),
            "pre_tokenizer": sequence(tokenizer.preTokenizer.steps.map(render), "pretokenizers"),
            "post_processor": postProcessor(tokenizer),
            "decoder": NSNull(),
        ]
        if let steps = tokenizer.decoder {
            root["decoder"] = sequence(steps.map(render), "decoders")
        }
        do {
            var data = try JSONSerialization.data(
                withJSONObject: root,
                options: [.sortedKeys, .withoutEscapingSlashes]
            )
            // Sorting a vocabulary's keys takes seconds, so the model is written here.
            data.removeLast()
            return Array(data) + Array(",\"model\":\(model(tokenizer))}".utf8)
        } catch {
            throw ModelFileError(.inputOutput, "tokenizer.json cannot be written: \(error)")
        }
    }

    /// With the pieces that the user defined: they are found in the text that the normalizer made.
    private static func addedTokens(
        _ tokenizer: Tokenizer
    ) throws(ModelFileError) -> [Tokenizer.AddedToken] {
        var tokens = tokenizer.addedTokens
        if case .scores(let model) = tokenizer.model {
            let known = Set(tokens.map(\.id))
            for (id, kind) in model.kinds.enumerated()
            where kind == .userDefined && !known.contains(Int32(id)) {
                guard !tokenizer.normalizer.contains(where: \.isPrepend) else {
                    throw ModelFileError(
                        .unsupported,
                        """
                        tokenizer.json: the user-defined piece \(tokenizer.vocabulary[id]) of a model \
                        that puts a space before a text; keep its tokenizer.model
                        """
                    )
                }
                var token = Tokenizer.AddedToken(
                    text: tokenizer.vocabulary[id],
                    id: Int32(id),
                    isSpecial: false
                )
                token.isNormalized = true
                tokens.append(token)
            }
        }
        return tokens.sorted { $0.id < $1.id }
    }

    private static func render(_ token: Tokenizer.AddedToken) -> [String: Any] {
        [
            "id": Int(token.id), "content": token.text, "single_word": token.isSingleWord,
            "lstrip": token.stripsLeft, "rstrip": token.stripsRight,
            "normalized": token.isNormalized, "special": token.isSpecial,
        ]
    }

    /// Nothing, the one step, or a sequence of steps.
    private static func sequence(_ steps: [[String: Any]], _ key: String) -> Any {
        switch steps.count {
        case 0: NSNull()
        case 1: steps[0]
        default: ["type": "Sequence", key: steps]
        }
    }

    private static func text(_ scalars: [Unicode.Scalar]) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    private static func pattern(_ expression: SplitExpression) -> [String: String] {
        [expression.isLiteral ? "String" : "Regex": expression.pattern]
    }

    private static func render(_ step: NormalizerStep) -> [String: Any] {
        switch step {
        case .canonicalComposition: ["type": "NFC"]
        case .canonicalDecomposition: ["type": "NFD"]
        case .compatibilityComposition: ["type": "NFKC"]
        case .compatibilityDecomposition: ["type": "NFKD"]
        case .lowercase: ["type": "Lowercase"]
        case .strip(let left, let right):
            ["type": "Strip", "strip_left": left, "strip_right": right]
        case .replace(let expression, let content):
            ["type": "Replace", "pattern": pattern(expression), "content": text(content)]
        case .prepend(let prefix): ["type": "Prepend", "prepend": text(prefix)]
        case .squeezeSpaces:
            // Spaces are all that Strip and SentencePiece differ on; the expressions say which.
            [
                "type": "Sequence",
                "normalizers": [
                    ["type": "Replace", "pattern": ["Regex": #"\A +| +\z"#], "content": ""],
                    ["type": "Replace", "pattern": ["Regex": " {2,}"], "content": " "],
                ] as [[String: Any]],
            ]
        }
    }

    private static func render(_ step: PreTokenizer.Step) -> [String: Any] {
        switch step {
        case .byteLevel(let addsPrefixSpace, let usesExpression):
            [
                "type": "ByteLevel", "add_prefix_space": addsPrefixSpace, "trim_offsets": true,
                "use_regex": usesExpression,
            ]
        case .split(let expression, let behavior, let isInverted):
            [
                "type": "Split", "pattern": pattern(expression), "behavior": behavior.rawValue,
                "invert": isInverted,
            ]
        case .digits(let individual): ["type": "Digits", "individual_digits": individual]
        case .punctuation(let behavior):
            ["type": "Punctuation", "behavior": behavior.rawValue]
        case .metaspace(let replacement, let scheme, let splits):
            [
                "type": "Metaspace", "replacement": String(replacement),
                "prepend_scheme": scheme.rawValue, "split": splits,
            ]
        case .whitespace: ["type": "Whitespace"]
        case .whitespaceSplit: ["type": "WhitespaceSplit"]
        case .delimiter(let delimiter):
            ["type": "CharDelimiterSplit", "delimiter": String(delimiter)]
        }
    }

    private static func render(_ step: DecoderStep) -> [String: Any] {
        switch step {
        case .byteLevel:
            [
                "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                "use_regex": true,
            ]
        case .replace(let expression, let content):
            [
                "type": "Replace", "pattern": pattern(expression),
                "content": String(decoding: content, as: UTF8.self),
            ]
        case .byteFallback: ["type": "ByteFallback"]
        case .fuse: ["type": "Fuse"]
        case .strip(let scalar, let start, let stop):
            ["type": "Strip", "content": String(scalar), "start": start, "stop": stop]
        case .metaspace(let replacement, let dropsFirst):
            [
                "type": "Metaspace", "replacement": String(replacement),
                "prepend_scheme": dropsFirst ? "always" : "never", "split": true,
            ]
        }
    }

    private static func postProcessor(_ tokenizer: Tokenizer) -> Any {
        guard !tokenizer.addedAtStart.isEmpty || !tokenizer.addedAtEnd.isEmpty else {
            return NSNull()
        }
        var table: [String: Any] = [:]
        var names: [(id: Int32, name: String)] = []
        func special(_ id: Int32, type: Int) -> [String: Any] {
            let text = tokenizer.vocabulary[Int(id)]
            // Any name will do, and keys here take canonically equivalent texts for one.
            let isTaken = names.contains { $0.id != id && $0.name == text }
            let name = isTaken ? "\(text) \(id)" : text
            names.append((id, name))
            table[name] = ["id": name, "ids": [Int(id)], "tokens": [text]] as [String: Any]
            return ["SpecialToken": ["id": name, "type_id": type] as [String: Any]]
        }
        func around(_ name: String, type: Int) -> [[String: Any]] {
            tokenizer.addedAtStart.map { special($0, type: type) }
                + [["Sequence": ["id": name, "type_id": type] as [String: Any]]]
                + tokenizer.addedAtEnd.map { special($0, type: type) }
        }
        let single = around("A", type: 0)
        return [
            "type": "TemplateProcessing", "single": single, "pair": single + around("B", type: 1),
            "special_tokens": table,
        ] as [String: Any]
    }

    private static func model(_ tokenizer: Tokenizer) -> String {
        let options: BytePairModel.Options
        let merges: [(String, String)]
        // With the added tokens, as the library numbers those that are not in the vocabulary anew.
        let names = ScoreMerges.vocabulary(tokenizer)
        switch tokenizer.model {
        case .bytePairs(let model):
            options = model.options
            merges = tokenizer.merges
        case .scores(let model):
            options = .init(
                hasByteFallback: model.hasByteFallback,
                unknownToken: model.unknown.map { tokenizer.vocabulary[Int($0)] },
                fusesUnknown: true
            )
            merges = ScoreMerges.merges(tokenizer, model)
        }
        let unknown = options.unknownToken.map(quoted) ?? "null"
        let members = names.map { "\(quoted($0.text)):\($0.id)" }.joined(separator: ",")
        let pairs = merges.map { "[\(quoted($0.0)),\(quoted($0.1))]" }.joined(separator: ",")
        return """
            {"type":"BPE","dropout":null,"unk_token":\(unknown),"continuing_subword_prefix":null,\
            "end_of_word_suffix":null,"fuse_unk":\(options.fusesUnknown),\
            "byte_fallback":\(options.hasByteFallback),\
            "ignore_merges":\(options.ignoresMerges),"vocab":{\(members)},"merges":[\(pairs)]}
            """
    }

    private static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\u{0}"..."\u{1F}": output += String(format: "\\u%04x", scalar.value)
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }
}

/// Merges that do what scores do.
enum ScoreMerges {
    /// Tokens and numbers without the second of two equal texts.
    static func vocabulary(_ tokenizer: Tokenizer) -> [(text: String, id: Int32)] {
        var seen = TokenTable(capacity: tokenizer.vocabulary.count)
        return tokenizer.vocabulary.enumerated().compactMap { id, text in
            seen.insert(text, Int32(id)) == nil ? (text, Int32(id)) : nil
        }
    }

    /// For every piece all its halves that are pieces, the best score first.
    static func merges(
        _ tokenizer: Tokenizer,
        _ model: PieceScoreModel
    ) -> [(String, String)] {
        var tokens = TokenTable(capacity: tokenizer.vocabulary.count)
        let pieces = tokenizer.vocabulary.indices.filter {
            [.normal, .userDefined].contains(model.kinds[$0])
        }
        for id in pieces { tokens.insert(tokenizer.vocabulary[id], Int32(id)) }
        var merges: [(String, String)] = []
        let order = pieces.filter { model.kinds[$0] == .normal }
            .sorted { (model.scores[$1], $0) < (model.scores[$0], $1) }
        for id in order {
            let scalars = Array(tokenizer.vocabulary[id].unicodeScalars)
            for middle in scalars.indices.dropFirst() {
                var left = String.UnicodeScalarView()
                left.append(contentsOf: scalars[..<middle])
                var right = String.UnicodeScalarView()
                right.append(contentsOf: scalars[middle...])
                let pair = (String(left), String(right))
                if let a = tokens[pair.0], let b = tokens[pair.1],
                    model.kinds[Int(a)] == .normal, model.kinds[Int(b)] == .normal
                {
                    merges.append(pair)
                }
            }
        }
        return merges
    }
}
