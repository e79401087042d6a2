internal import Formats
internal import Transformer

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
    enum Match: Int, Comparable {
        case kind
        case pattern
        case exact

        static func < (first: Self, second: Self) -> Bool { first.rawValue < second.rawValue }
    }

    // Every module is held against every pattern.
    private static let patternLimit = 256

    /// Entries that are no regular expression, or use more than is read; they match nothing.
    let invalid: [String]
    private let syntax: Syntax
    private let names: Set<String>
    private let globs: [ModulePattern]
    private let expressions: [ModuleExpression]

    /// Takes entries as they are; ``check(place:)`` says what is wrong with them.
    init(_ texts: [String], _ syntax: Syntax) {
        self.syntax = syntax
        var names: Set<String> = []
        var globs: [ModulePattern] = []
        var expressions: [ModuleExpression] = []
        var invalid: [String] = []
        for text in texts {
            if text.hasPrefix("re:") {
                if let expression = ModuleExpression(String(text.dropFirst(3))) {
                    expressions.append(expression)
                } else {
                    invalid.append(text)
                }
            } else if syntax == .globs, Self.isGlob(text) {
                globs.append(ModulePattern(text))
            } else {
                names.insert(text)
            }
        }
        self.names = names
        self.globs = globs
        self.expressions = expressions
        self.invalid = invalid
    }

    /// Takes entries that are all read, and not too many.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`).
    init(_ texts: [String], _ syntax: Syntax, place: String) throws(ModelFileError) {
        self.init(texts, syntax)
        try check(place: place)
    }

    /// Refuses what is not read.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`).
    func check(place: String) throws(ModelFileError) {
        if let text = invalid.first {
            throw ModelFileError(
                .unsupported,
                "\(place): \(text) is no regular expression, or uses more than is read"
            )
        }
        let count = globs.count + expressions.count
        guard count <= Self.patternLimit else {
            throw ModelFileError(
                .unsupported,
                "\(place): \(count) patterns, more than the limit of \(Self.patternLimit)"
            )
        }
    }

    /// Whether a text has wildcards.
    static func isGlob(_ text: String) -> Bool {
        !text.hasPrefix("re:") && text.contains { $0 == "*" || $0 == "?" }
    }

    /// The class of a module, as configurations name it.
    static func kind(of module: String) -> String {
        module == ParameterLayout.embeddingModule ? "Embedding" : "Linear"
    }

    /// How closely a module is named; nil if it is not.
    func match(_ module: String) -> Match? {
        if names.contains(module) { return .exact }
        if globs.contains(where: { $0.matches(module) })
            || expressions.contains(where: { $0.matches(module) })
        {
            return .pattern
        }
        if names.contains(Self.kind(of: module)) { return .kind }
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
