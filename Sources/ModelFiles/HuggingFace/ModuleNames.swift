internal import Formats
internal import Quantization

/// Modules as a configuration names them: by name, pattern or class.
struct ModuleNames: Sendable {
    /// How patterns are written.
    enum Syntax {
        /// `re:` and an expression that matches from the name's beginning on.
        case expressions
        /// `*` and `?` as well; a name stands for all modules within it, too.
        case globs
    }

    /// How closely a module is named.
    enum Match: Int {
        case kind
        case pattern
        case exact
    }

    // Every module is held against every pattern.
    private static let patternLimit = 256

    private let syntax: Syntax
    private let names: Set<String>
    private let globs: [ModulePattern]
    private let expressions: [ModuleExpression]

    init(_ texts: [String], _ syntax: Syntax, place: String) throws(ModelFileError) {
        self.syntax = syntax
        var names: Set<String> = []
        var globs: [ModulePattern] = []
        var expressions: [ModuleExpression] = []
        for text in texts {
            if text.hasPrefix("re:") {
                guard let expression = ModuleExpression(String(text.dropFirst(3))) else {
                    throw ModelFileError(
                        .unsupported,
                        "\(place): \(text) is no regular expression, or uses more than is read"
                    )
                }
                expressions.append(expression)
            } else if syntax == .globs, text.contains(where: { $0 == "*" || $0 == "?" }) {
                globs.append(ModulePattern(text))
            } else {
                names.insert(text)
            }
        }
        let count = globs.count + expressions.count
        guard count <= Self.patternLimit else {
            throw ModelFileError(
                .unsupported,
                "\(place): \(count) patterns, more than the limit of \(Self.patternLimit)"
            )
        }
        self.names = names
        self.globs = globs
        self.expressions = expressions
    }

    /// Whether a module is named; nil if it is not.
    func match(_ module: String) -> Match? {
        if names.contains(module) { return .exact }
        if globs.contains(where: { $0.matches(module) })
            || expressions.contains(where: { $0.matches(module) })
        {
            return .pattern
        }
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
}
