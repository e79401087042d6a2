internal import Foundation

/// Reads and writes Hugging Face's tokenizer.json for byte-level BPE.
enum TokenizerJSON {
    static func parse(_ bytes: [UInt8], path: String) throws(ModelFileError) -> Tokenizer {
        guard case .object(let members) = try JSONValue.parse(bytes, path: path, limit: 8 << 20)
        else {
            throw ModelFileError(.malformed, "\(path): no JSON object")
        }
        let root = JSONObject(members: members, place: path)
        guard let model = try root.object("model"), try model.text("type") ?? "BPE" == "BPE",
            let ids = try model.object("vocab"), let mergeList = try model.list("merges")
        else {
            throw ModelFileError(
                .unsupported,
                "\(path): model is not BPE with vocab and merges; byte-level BPE is what is read"
            )
        }
        let added = try addedTokens(root)
        let vocabulary = try vocabulary(ids, added: added, path: path)
        var merges: [(String, String)] = []
        merges.reserveCapacity(mergeList.count)
        for (rank, merge) in mergeList.enumerated() {
            merges.append(try pair(merge, rank: rank, path: path))
        }
        return try Tokenizer(
            vocabulary: vocabulary,
            merges: merges,
            addedTokens: added,
            preTokenizer: try preTokenizer(root),
            normalization: try normalization(root),
            ignoresMerges: try model.flag("ignore_merges") ?? false
        )
    }

    /// Numbers may have holes, but not so many that a small file takes much memory.
    private static func vocabulary(
        _ object: JSONObject,
        added: [Tokenizer.AddedToken],
        path: String
    ) throws(ModelFileError) -> [String] {
        var ids: [(token: String, id: Int)] = []
        for token in object.members.keys {
            ids.append((token, try object.integer(token) ?? -1))
        }
        let highest = max(ids.map(\.id).max() ?? -1, added.map { Int($0.id) }.max() ?? -1)
        let limit = min(1 << 22, ids.count + added.count + 1 << 17)
        guard (0..<limit).contains(highest), ids.allSatisfy({ $0.id >= 0 }) else {
            throw ModelFileError(
                .malformed,
                """
                \(path): vocabulary numbers reach \(highest), or one is negative; \(ids.count) \
                tokens may have numbers below \(limit)
                """
            )
        }
        var vocabulary = [String](repeating: "", count: highest + 1)
        for (token, id) in ids {
            guard vocabulary[id].isEmpty else {
                throw ModelFileError(
                    .malformed,
                    "\(path): tokens \(token) and \(vocabulary[id]) both have the number \(id)"
                )
            }
            vocabulary[id] = token
        }
        for token in added {
            vocabulary[Int(token.id)] = token.text
        }
        return vocabulary
    }

    private static func pair(
        _ merge: JSONValue,
        rank: Int,
        path: String
    ) throws(ModelFileError) -> (String, String) {
        switch merge {
        case .text(let text):
            let parts = text.split(separator: " ", omittingEmptySubsequences: false)
            if parts.count == 2 {
                return (String(parts[0]), String(parts[1]))
            }
        case .list(let parts):
            if parts.count == 2, case .text(let left) = parts[0], case .text(let right) = parts[1] {
                return (left, right)
            }
        default: break
        }
        throw ModelFileError(.malformed, "\(path): merge \(rank) is not two tokens")
    }

    private static func addedTokens(
        _ root: JSONObject
    ) throws(ModelFileError) -> [Tokenizer.AddedToken] {
        var tokens: [Tokenizer.AddedToken] = []
        for entry in try root.objects(in: "added_tokens") ?? [] {
            guard let text = try entry.text("content"), !text.isEmpty,
                let id = try entry.integer("id"), (0..<1 << 22).contains(id)
            else {
                throw ModelFileError(
                    .malformed,
                    "\(root.place): an added token lacks content or id"
                )
            }
            for key in ["single_word", "lstrip", "rstrip"] where try entry.flag(key) == true {
                throw ModelFileError(
                    .unsupported,
                    "\(root.place): added token \(text) asks for \(key), which is not supported"
                )
            }
            tokens.append(
                .init(text: text, id: Int32(id), isSpecial: try entry.flag("special") ?? false)
            )
        }
        return tokens
    }

    private static func preTokenizer(_ root: JSONObject) throws(ModelFileError) -> PreTokenizer {
        guard let value = try root.object("pre_tokenizer") else {
            throw ModelFileError(
                .unsupported,
                "\(root.place): no pre_tokenizer; ByteLevel is what is read"
            )
        }
        let steps = try value.objects(in: "pretokenizers") ?? [value]
        var kinds: [String] = []
        var addsSpace = false
        for step in steps {
            kinds.append(try step.text("type") ?? "")
            addsSpace = try step.flag("add_prefix_space") == true || addsSpace
        }
        if !addsSpace, let last = steps.last {
            let usesExpression = try last.flag("use_regex") ?? true
            switch kinds {
            case ["ByteLevel"] where usesExpression: return .gpt2
            case ["Digits", "ByteLevel"] where usesExpression:
                if try steps[0].flag("individual_digits") == true { return .smolLM }
            case ["Split", "ByteLevel"] where !usesExpression:
                let pattern = try steps[0].object("pattern")?.text("Regex")
                if pattern == llama3Pattern(digits: #"\p{N}{1,3}"#) { return .llama3 }
                if pattern == llama3Pattern(digits: #"\p{N}"#) { return .qwen2 }
            default: break
            }
        }
        throw ModelFileError(
            .unsupported,
            """
            \(root.place): pre_tokenizer \(kinds) with these options is not one of GPT-2's, SmolLM's, \
            Llama 3's or Qwen 2's
            """
        )
    }

    private static func normalization(
        _ root: JSONObject
    ) throws(ModelFileError) -> Tokenizer.Normalization {
        guard let normalizer = try root.object("normalizer") else {
            return .none
        }
        let type = try normalizer.text("type") ?? "?"
        guard type == "NFC" else {
            throw ModelFileError(
                .unsupported,
                "\(root.place): normalizer \(type); NFC and none are supported"
            )
        }
        return .nfc
    }

    private static func llama3Pattern(digits: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// A tokenizer.json that Hugging Face's library reads to the same tokenizer.
    static func render(_ tokenizer: Tokenizer) throws(ModelFileError) -> [UInt8] {
        let byteLevel: [String: Any] = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
        ]
        let root: [String: Any] = [
            "version": "1.0",
            "truncation": NSNull(),
            "padding": NSNull(),
            "added_tokens": tokenizer.addedTokens.sorted { $0.id < $1.id }.map { token in
                [
                    "id": Int(token.id), "content": token.text, "single_word": false,
                    "lstrip": false, "rstrip": false, "normalized": false,
                    "special": token.isSpecial,
                ] as [String: Any]
            },
            "normalizer": tokenizer.normalization == .nfc ? ["type": "NFC"] as Any : NSNull(),
            "pre_tokenizer": preTokenizer(tokenizer.preTokenizer, byteLevel: byteLevel),
            "post_processor": NSNull(),
            "decoder": byteLevel,
            "model": [
                "type": "BPE", "dropout": NSNull(), "unk_token": NSNull(),
                "continuing_subword_prefix": NSNull(), "end_of_word_suffix": NSNull(),
                "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": tokenizer.preTokenizer == .llama3,
                "vocab": vocabularyMark, "merges": mergesMark,
            ] as [String: Any],
        ]
        do {
            let data = try JSONSerialization.data(
                withJSONObject: root,
                options: [.sortedKeys, .withoutEscapingSlashes]
            )
            // Sorting a vocabulary's keys takes seconds, so the two large members are written here.
            return Array(
                String(decoding: data, as: UTF8.self)
                    .replacing("\"\(vocabularyMark)\"", with: vocabulary(tokenizer))
                    .replacing("\"\(mergesMark)\"", with: merges(tokenizer)).utf8
            )
        } catch {
            throw ModelFileError(.inputOutput, "tokenizer.json cannot be written: \(error)")
        }
    }

    private static let vocabularyMark = "@vocabulary@"
    private static let mergesMark = "@merges@"

    /// Tokens and their numbers as a JSON object, in the numbers' order.
    private static func vocabulary(_ tokenizer: Tokenizer) -> String {
        let added = Dictionary(
            tokenizer.addedTokens.map { ($0.id, $0.text) },
            uniquingKeysWith: { first, _ in first }
        )
        var seen: Set<String> = []
        let members = tokenizer.vocabulary.enumerated().compactMap { id, token -> String? in
            let text = added[Int32(id)] ?? token
            return seen.insert(text).inserted ? "\(quoted(text)):\(id)" : nil
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    private static func merges(_ tokenizer: Tokenizer) -> String {
        let pairs = tokenizer.merges.map { "[\(quoted($0.0)),\(quoted($0.1))]" }
        return "[" + pairs.joined(separator: ",") + "]"
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

    private static func preTokenizer(
        _ kind: PreTokenizer,
        byteLevel: [String: Any]
    ) -> [String: Any] {
        var plain = byteLevel
        switch kind {
        case .gpt2:
            return byteLevel
        case .smolLM:
            let digits: [String: Any] = ["type": "Digits", "individual_digits": true]
            return ["type": "Sequence", "pretokenizers": [digits, byteLevel]]
        case .llama3, .qwen2:
            plain["use_regex"] = false
            let pattern = llama3Pattern(digits: kind == .llama3 ? #"\p{N}{1,3}"# : #"\p{N}"#)
            let split: [String: Any] = [
                "type": "Split", "pattern": ["Regex": pattern], "behavior": "Isolated",
                "invert": false,
            ]
            return ["type": "Sequence", "pretokenizers": [split, plain]]
        }
    }
}

extension Tokenizer {
    /// Reads a tokenizer.json.
    ///
    /// - Throws: ``ModelFileError``.
    public init(tokenizerJSON bytes: [UInt8], path: String = "tokenizer.json")
        throws(ModelFileError)
    {
        self = try TokenizerJSON.parse(bytes, path: path)
    }

    /// Reads the tokenizer of a GGUF file's metadata.
    ///
    /// - Throws: ``ModelFileError``.
    public init(gguf: GGUFFile) throws(ModelFileError) {
        let path = gguf.file.path
        guard gguf.text("tokenizer.ggml.model") == "gpt2",
            case .texts(let tokens) = gguf.metadata["tokenizer.ggml.tokens"],
            case .texts(let mergeTexts) = gguf.metadata["tokenizer.ggml.merges"]
        else {
            throw ModelFileError(
                .unsupported,
                """
                \(path): tokenizer \(gguf.text("tokenizer.ggml.model") ?? "?"); byte-level BPE \
                (gpt2) with tokens and merges is what is read
                """
            )
        }
        let pre = gguf.text("tokenizer.ggml.pre") ?? "gpt-2"
        guard let preTokenizer = PreTokenizer(rawValue: pre) else {
            throw ModelFileError(
                .unsupported,
                "\(path): tokenizer.ggml.pre is \(pre); read are gpt-2, smollm, llama-bpe, qwen2"
            )
        }
        var types: [Int] = []
        if case .integers(let values) = gguf.metadata["tokenizer.ggml.token_type"] {
            types = values
        }
        // 3 is a control token, 4 one the user defined.
        let added = zip(types, tokens).enumerated().compactMap { id, pair -> AddedToken? in
            [3, 4].contains(pair.0) && !pair.1.isEmpty
                ? AddedToken(text: pair.1, id: Int32(id), isSpecial: pair.0 == 3) : nil
        }
        var merges: [(String, String)] = []
        for (rank, text) in mergeTexts.enumerated() {
            let parts = text.split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw ModelFileError(.malformed, "\(path): merge \(rank) is not two tokens")
            }
            merges.append((String(parts[0]), String(parts[1])))
        }
        try self.init(
            vocabulary: tokens,
            merges: merges,
            addedTokens: added,
            preTokenizer: preTokenizer,
            normalization: preTokenizer == .qwen2 ? .nfc : .none,
            ignoresMerges: preTokenizer == .llama3
        )
    }
}
