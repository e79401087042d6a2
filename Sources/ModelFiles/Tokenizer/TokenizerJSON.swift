internal import Foundation

/// Reads and writes Hugging Face's tokenizer.json for byte-level BPE.
enum TokenizerJSON {
    static func parse(_ bytes: [UInt8], path: String) throws(ModelFileError) -> Tokenizer {
        let root: [String: Any]
        do {
            let value = try JSONSerialization.jsonObject(with: Data(bytes))
            root = value as? [String: Any] ?? [:]
        } catch {
            throw ModelFileError(
                .malformed,
                "\(path): not valid JSON: \(error.localizedDescription)"
            )
        }
        guard let model = root["model"] as? [String: Any],
            (model["type"] as? String ?? "BPE") == "BPE",
            let ids = model["vocab"] as? [String: Int],
            let mergeList = model["merges"] as? [Any]
        else {
            throw ModelFileError(
                .unsupported,
                "\(path): model is not BPE with vocab and merges; byte-level BPE is what is read"
            )
        }
        let added = try addedTokens(root["added_tokens"], path: path)
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
            preTokenizer: try preTokenizer(root["pre_tokenizer"], path: path),
            normalization: try normalization(root["normalizer"], path: path),
            ignoresMerges: model["ignore_merges"] as? Bool ?? false
        )
    }

    private static func vocabulary(
        _ ids: [String: Int],
        added: [Tokenizer.AddedToken],
        path: String
    ) throws(ModelFileError) -> [String] {
        let highest = max(ids.values.max() ?? -1, added.map { Int($0.id) }.max() ?? -1)
        guard highest >= 0, highest < 1 << 22, ids.values.allSatisfy({ $0 >= 0 }) else {
            throw ModelFileError(.malformed, "\(path): vocabulary numbers reach \(highest)")
        }
        var vocabulary = [String](repeating: "", count: highest + 1)
        for (token, id) in ids {
            vocabulary[id] = token
        }
        for token in added {
            vocabulary[Int(token.id)] = token.text
        }
        return vocabulary
    }

    private static func pair(
        _ merge: Any,
        rank: Int,
        path: String
    ) throws(ModelFileError) -> (String, String) {
        if let text = merge as? String {
            let parts = text.split(separator: " ", omittingEmptySubsequences: false)
            if parts.count == 2 {
                return (String(parts[0]), String(parts[1]))
            }
        } else if let parts = merge as? [String], parts.count == 2 {
            return (parts[0], parts[1])
        }
        throw ModelFileError(.malformed, "\(path): merge \(rank) is not two tokens")
    }

    private static func addedTokens(
        _ value: Any?,
        path: String
    ) throws(ModelFileError) -> [Tokenizer.AddedToken] {
        var tokens: [Tokenizer.AddedToken] = []
        for entry in value as? [[String: Any]] ?? [] {
            guard let text = entry["content"] as? String, !text.isEmpty,
                let id = entry["id"] as? Int, (0..<1 << 22).contains(id)
            else {
                throw ModelFileError(.malformed, "\(path): an added token lacks content or id")
            }
            for key in ["single_word", "lstrip", "rstrip"] where entry[key] as? Bool == true {
                throw ModelFileError(
                    .unsupported,
                    "\(path): added token \(text) asks for \(key), which is not supported"
                )
            }
            tokens.append(
                .init(text: text, id: Int32(id), isSpecial: entry["special"] as? Bool ?? false)
            )
        }
        return tokens
    }

    private static func preTokenizer(
        _ value: Any?,
        path: String
    ) throws(ModelFileError) -> PreTokenizer {
        guard let root = value as? [String: Any] else {
            throw ModelFileError(
                .unsupported,
                "\(path): no pre_tokenizer; ByteLevel is what is read"
            )
        }
        let steps = root["pretokenizers"] as? [[String: Any]] ?? [root]
        let kinds = steps.map { $0["type"] as? String ?? "" }
        let addsSpace = steps.contains { $0["add_prefix_space"] as? Bool == true }
        if !addsSpace {
            if kinds == ["ByteLevel"], steps[0]["use_regex"] as? Bool ?? true {
                return .gpt2
            }
            if kinds == ["Digits", "ByteLevel"], steps[0]["individual_digits"] as? Bool == true,
                steps[1]["use_regex"] as? Bool ?? true
            {
                return .smolLM
            }
            if kinds == ["Split", "ByteLevel"], steps[1]["use_regex"] as? Bool == false,
                let pattern = (steps[0]["pattern"] as? [String: Any])?["Regex"] as? String
            {
                if pattern == llama3Pattern(digits: #"\p{N}{1,3}"#) {
                    return .llama3
                }
                if pattern == llama3Pattern(digits: #"\p{N}"#) {
                    return .qwen2
                }
            }
        }
        throw ModelFileError(
            .unsupported,
            """
            \(path): pre_tokenizer \(kinds) with these options is not one of GPT-2's, SmolLM's, \
            Llama 3's or Qwen 2's
            """
        )
    }

    private static func normalization(
        _ value: Any?,
        path: String
    ) throws(ModelFileError) -> Tokenizer.Normalization {
        guard let normalizer = value as? [String: Any] else {
            return .none
        }
        guard normalizer["type"] as? String == "NFC" else {
            throw ModelFileError(
                .unsupported,
                "\(path): normalizer \(normalizer["type"] ?? "?"); NFC and none are supported"
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
