/// What the front matter of a model card says: texts and lists of texts by key.
///
/// It reads the YAML that model cards are written in: keys at the margin with a text, a list in
/// brackets or a list of lines. Nested objects and folded texts are left out.
/// - SeeAlso: Hugging Face Hub, model cards.
struct ModelCard: Sendable, Equatable {
    private(set) var values: [String: [String]] = [:]

    private static let byteLimit = 1 << 20
    private static let lineLimit = 4096

    init() {}

    /// Reads a card; one without front matter says nothing.
    ///
    /// - Throws: ``ModelFileError`` if it is too large or no UTF-8.
    init(_ bytes: [UInt8], path: String) throws(ModelFileError) {
        guard bytes.count <= Self.byteLimit, let text = String(validating: bytes, as: UTF8.self)
        else {
            throw ModelFileError(
                .malformed,
                "\(path) is no UTF-8 text of up to \(Self.byteLimit) bytes"
            )
        }
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard lines.first == "---" else { return }
        var key: String?
        for line in lines.dropFirst().prefix(Self.lineLimit) {
            if line == "---" { break }
            let content = Self.trimmed(line)
            if content.isEmpty || content.hasPrefix("#") { continue }
            if content == "-" || content.hasPrefix("- ") {
                add(item: Self.trimmed(content.dropFirst()), to: key)
            } else if line.first?.isWhitespace == true {
                // An object, or a text of several lines.
                if let open = key, values[open]?.isEmpty ?? true { values[open] = nil }
                key = nil
            } else {
                key = member(content)
            }
        }
        values = values.filter { !$0.value.isEmpty }
    }

    /// Takes `key: value`; returns the key if its list follows.
    private mutating func member(_ content: Substring) -> String? {
        guard let colon = content.firstIndex(of: ":") else { return nil }
        let after = content[content.index(after: colon)...]
        guard after.isEmpty || after.first == " " || after.first == "\t" else { return nil }
        let key = Self.unquoted(content[..<colon])
        let value = Self.trimmed(after)
        values[key] = []
        if value.isEmpty { return key }
        if value.hasPrefix("["), value.hasSuffix("]") {
            values[key] = value.dropFirst().dropLast().split(separator: ",")
                .map { Self.unquoted(Self.trimmed($0)) }.filter { !$0.isEmpty }
        } else if let first = value.first, !"|>{[&*!".contains(first), value != "null", value != "~"
        {
            values[key] = [Self.unquoted(value)]
        }
        return nil
    }

    private mutating func add(item: Substring, to key: String?) {
        guard let key, !item.isEmpty else { return }
        let isQuoted = item.first == "\"" || item.first == "'"
        // An object in a list has a key.
        guard isQuoted || !item.contains(": "), !item.hasSuffix(":") || isQuoted else { return }
        values[key, default: []].append(Self.unquoted(item))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text.drop { $0.isWhitespace }
    }

    /// The text of a scalar, without quotes and what is said of it behind.
    private static func unquoted(_ text: Substring) -> String {
        guard let quote = text.first, quote == "\"" || quote == "'" else {
            guard let comment = text.range(of: " #") else { return String(text) }
            return String(trimmed(text[..<comment.lowerBound]))
        }
        let inner = text.dropFirst()
        guard let end = inner.firstIndex(of: quote) else { return String(text) }
        return String(inner[..<end])
    }

    /// The first text of the first of some keys that is there.
    func text(_ keys: String...) -> String? {
        keys.lazy.compactMap { values[$0]?.first }.first
    }

    /// The texts of all of some keys.
    func texts(_ keys: String...) -> [String] { keys.flatMap { values[$0] ?? [] } }
}

extension ModelCard {
    /// The card of a model from a GGUF file; nil if that says nothing.
    static func render(_ gguf: GGUFOrigin) -> [UInt8]? {
        let name = gguf.text("general.name")
        let single = [
            ("model_name", "general.name"), ("license", "general.license"),
            ("license_name", "general.license.name"), ("license_link", "general.license.link"),
            ("model_author", "general.author"), ("model_organization", "general.organization"),
            ("model_basename", "general.basename"), ("model_finetune", "general.finetune"),
            ("model_version", "general.version"), ("model_size_label", "general.size_label"),
        ]
        var lines = single.compactMap { key, source in
            gguf.text(source).map { "\(key): \(quoted($0))" }
        }
        guard !lines.isEmpty else { return nil }
        let lists = [
            ("language", gguf.texts("general.languages")), ("tags", gguf.texts("general.tags")),
            ("base_model", references(gguf, "base_model")),
            ("datasets", references(gguf, "dataset")),
        ]
        for (key, texts) in lists where !texts.isEmpty {
            lines.append("\(key):")
            lines += texts.map { "- \(quoted($0))" }
        }
        let title = name.map { "\n# \($0.filter { !$0.isNewline })\n" } ?? ""
        return Array(("---\n" + lines.joined(separator: "\n") + "\n---\n" + title).utf8)
    }

    /// The models or data sets that a model came of, as the hub or the file names them.
    private static func references(_ gguf: GGUFOrigin, _ kind: String) -> [String] {
        let count = min(max(gguf.integer("general.\(kind).count") ?? 0, 0), 64)
        return (0..<count).compactMap { index in
            let prefix = "general.\(kind).\(index)"
            guard let link = gguf.text("\(prefix).repo_url") else {
                return gguf.text("\(prefix).name")
            }
            let hub = "https://huggingface.co/"
            return link.hasPrefix(hub) ? String(link.dropFirst(hub.count)) : link
        }
    }

    /// A text in quotes where YAML would read something else.
    private static func quoted(_ text: String) -> String {
        let line = String(text.map { $0.isNewline ? " " : $0 })
        let isPlain =
            line.first?.isLetter == true && !["no", "yes", "on", "off"].contains(line.lowercased())
            && !["true", "false", "null", "y", "n"].contains(line.lowercased())
            && line.allSatisfy { $0.isLetter || $0.isNumber || "-_./ ".contains($0) }
            && line.last != " "
        if isPlain { return line }
        return line.contains("\"") ? "'" + line.replacing("'", with: " ") + "'" : "\"\(line)\""
    }
}

extension Substring {
    /// Where a text occurs first.
    fileprivate func range(of text: String) -> Range<Index>? { firstRange(of: text) }
}
