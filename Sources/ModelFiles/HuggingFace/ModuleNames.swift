internal import Quantization

/// Modules as a configuration names them: by name, pattern or class.
struct ModuleNames: Sendable {
    /// How patterns are written.
    enum Syntax {
        /// `re:` and an expression that matches from the name's beginning on.
        case expressions
        /// `*` and `?`; a name stands for all modules within it, too.
        case globs
    }

    /// How closely a module is named.
    enum Match: Int {
        case kind
        case pattern
        case exact
    }

    // Every module is held against every pattern.
    private static let patternLimit = 1024

    private let syntax: Syntax
    private let names: Set<String>
    private let patterns: [ModulePattern]

    init(_ texts: [String], _ syntax: Syntax, place: String) throws(ModelFileError) {
        self.syntax = syntax
        var names: Set<String> = []
        var patterns: [ModulePattern] = []
        for text in texts {
            guard let pattern = try Self.pattern(text, syntax, place) else {
                names.insert(text)
                continue
            }
            patterns.append(pattern)
        }
        guard patterns.count <= Self.patternLimit else {
            throw ModelFileError(
                .unsupported,
                "\(place): \(patterns.count) patterns, more than the limit of \(Self.patternLimit)"
            )
        }
        self.names = names
        self.patterns = patterns
    }

    /// Whether a module is named; nil if it is not.
    func match(_ module: String) -> Match? {
        if names.contains(module) { return .exact }
        if patterns.contains(where: { $0.matches(module) }) { return .pattern }
        let kind = module == "model.embed_tokens" ? "Embedding" : "Linear"
        if names.contains(kind) { return .kind }
        return syntax == .globs && isWithinNamed(module) ? .pattern : nil
    }

    private func isWithinNamed(_ module: String) -> Bool {
        var outer = module[...]
        while let dot = outer.lastIndex(of: ".") {
            outer = outer[..<dot]
            if names.contains(String(outer)) { return true }
        }
        return false
    }

    private static func pattern(
        _ text: String,
        _ syntax: Syntax,
        _ place: String
    ) throws(ModelFileError) -> ModulePattern? {
        switch syntax {
        case .globs:
            return text.contains { $0 == "*" || $0 == "?" } ? ModulePattern(text) : nil
        case .expressions:
            guard text.hasPrefix("re:") else { return nil }
            let pattern = ModulePattern("re:(?:\(text.dropFirst(3))).*")
            do {
                try pattern.validate()
            } catch {
                throw ModelFileError(.malformed, "\(place): \(text) is no regular expression")
            }
            return pattern
        }
    }
}
