/// Reads a template's statements.
struct TemplateParser {
    var tokens: [TemplateToken]
    var place = 0
    private var depth = 0
    /// How many loops a statement stands in.
    private var loops = 0

    private static let depthLimit = 100

    private static let refused: Set<String> = [
        "include", "import", "from", "extends", "block", "call", "autoescape", "do", "trans",
        "debug",
    ]

    /// The statements of a template.
    ///
    /// - Throws: ``TemplateError``.
    static func parse(_ template: String) throws(TemplateError) -> [Statement] {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: template))
        let (statements, end) = try parser.statements(until: [])
        guard end == nil else { throw parser.unexpected() }
        return statements
    }

    private init(tokens: [TemplateToken]) { self.tokens = tokens }

    var current: TemplateToken { tokens[place] }
    var line: Int { current.line }

    /// Runs what nests one level deeper, within bounds that no stack minds.
    mutating func nested<T>(
        _ body: (inout TemplateParser) throws(TemplateError) -> T
    ) throws(TemplateError) -> T {
        let outer = depth
        defer { depth = outer }
        try deepen()
        return try body(&self)
    }

    /// Counts a level of the syntax tree, until what it is nested in ends: `a + b + c` is a tree of two.
    mutating func deepen() throws(TemplateError) {
        depth += 1
        guard depth <= Self.depthLimit else {
            throw TemplateError(.limit, "nested deeper than \(Self.depthLimit) levels", line: line)
        }
    }

    func unexpected() -> TemplateError {
        let found =
            switch current.kind {
            case .name(let name), .symbol(let name): "'\(name)'"
            case .string(let text): text.debugDescription
            case .integer(let value): "\(value)"
            case .real(let value): "\(value)"
            case .end: "the template's end"
            case .statementEnd, .outputEnd: "the tag's end"
            case .text, .statementStart, .outputStart: "text"
            }
        return TemplateError(.syntax, "unexpected \(found)", line: line)
    }

    mutating func take(_ symbol: String) -> Bool {
        guard current.kind == .symbol(symbol) else { return false }
        place += 1
        return true
    }

    mutating func takeWord(_ word: String) -> Bool {
        guard current.kind == .name(word) else { return false }
        place += 1
        return true
    }

    mutating func expect(_ symbol: String) throws(TemplateError) {
        guard take(symbol) else { throw unexpected() }
    }

    mutating func name() throws(TemplateError) -> String {
        guard case .name(let name) = current.kind else { throw unexpected() }
        place += 1
        return name
    }

    mutating func endTag() throws(TemplateError) {
        guard current.kind == .statementEnd else { throw unexpected() }
        place += 1
    }

    /// Statements up to a tag of one of `ends`, which is taken up to behind its word; nil at the template's end.
    private mutating func statements(
        until ends: Set<String>
    ) throws(TemplateError) -> ([Statement], end: String?) {
        var found: [Statement] = []
        while true {
            switch current.kind {
            case .text(let text):
                found.append(.text(text))
                place += 1
            case .outputStart:
                let line = line
                place += 1
                found.append(.output(try several(), line: line))
                guard current.kind == .outputEnd else { throw unexpected() }
                place += 1
            case .statementStart:
                place += 1
                let word = try name()
                if ends.contains(word) { return (found, word) }
                found.append(
                    try nested { parser throws(TemplateError) in try parser.statement(word) }
                )
            case .end:
                guard ends.isEmpty else {
                    throw TemplateError(
                        .syntax,
                        "the template ends before \(ends.sorted().joined(separator: " or "))",
                        line: line
                    )
                }
                return (found, nil)
            default: throw unexpected()
            }
        }
    }

    private mutating func body(until end: String) throws(TemplateError) -> [Statement] {
        let (statements, _) = try statements(until: [end])
        try endTag()
        return statements
    }

    private mutating func statement(_ word: String) throws(TemplateError) -> Statement {
        let line = line
        switch word {
        case "if": return try condition()
        case "for": return try loop()
        case "set": return try assignment()
        case "macro": return try macro()
        case "with": return try scope()
        case "filter":
            var filters: [Application] = []
            repeat { filters.append(try application()) } while take("|")
            try endTag()
            return .filtered(filters, body: try body(until: "endfilter"), line: line)
        case "generation":
            try endTag()
            return .generation(body: try body(until: "endgeneration"), line: line)
        case "break", "continue":
            guard loops > 0 else {
                throw TemplateError(.syntax, "\(word) outside of a loop", line: line)
            }
            try endTag()
            return word == "break" ? .breakLoop : .continueLoop
        default:
            guard Self.refused.contains(word) else {
                throw TemplateError(.syntax, "unknown tag '\(word)'", line: line)
            }
            throw TemplateError(.unsupported, "the tag '\(word)' is not rendered here", line: line)
        }
    }

    private mutating func condition() throws(TemplateError) -> Statement {
        let line = line
        var branches: [(condition: Expression?, body: [Statement])] = []
        var condition: Expression? = try several()
        while true {
            try endTag()
            let isLast = condition == nil
            let (body, end) = try statements(until: isLast ? ["endif"] : ["elif", "else", "endif"])
            branches.append((condition, body))
            switch end {
            case "elif": condition = try several()
            case "else": condition = nil
            default:
                try endTag()
                return .condition(branches, line: line)
            }
        }
    }

    private mutating func loop() throws(TemplateError) -> Statement {
        let line = line
        let target = try target(orMember: false)
        guard takeWord("in") else { throw unexpected() }
        let items = try several(withChoice: false)
        let condition = takeWord("if") ? try expression() : nil
        if case .name("recursive") = current.kind {
            throw TemplateError(.unsupported, "recursive loops are not rendered here", line: line)
        }
        try endTag()
        loops += 1
        let (body, end) = try statements(until: ["else", "endfor"])
        loops -= 1
        try endTag()
        let otherwise = end == "else" ? try self.body(until: "endfor") : []
        return .loop(
            Loop(
                target: target,
                items: items,
                condition: condition,
                body: body,
                otherwise: otherwise,
                line: line
            )
        )
    }

    private mutating func assignment() throws(TemplateError) -> Statement {
        let line = line
        let target = try target(orMember: true)
        if take("=") {
            let value = try several()
            try endTag()
            return .assignment(target, value, line: line)
        }
        var filters: [Application] = []
        while take("|") { filters.append(try application()) }
        try endTag()
        return .capture(target, filters: filters, body: try body(until: "endset"), line: line)
    }

    private mutating func macro() throws(TemplateError) -> Statement {
        let line = line
        let name = try name()
        var parameters: [(name: String, fallback: Expression?)] = []
        try expect("(")
        while !take(")") {
            if !parameters.isEmpty {
                try expect(",")
                if take(")") { break }
            }
            let parameter = try self.name()
            let fallback = take("=") ? try expression() : nil
            guard fallback != nil || parameters.last?.fallback == nil else {
                throw TemplateError(
                    .syntax,
                    "\(parameter) needs a default, as the one before it",
                    line: line
                )
            }
            parameters.append((parameter, fallback))
        }
        try endTag()
        let outer = loops
        loops = 0
        defer { loops = outer }
        let body = try body(until: "endmacro")
        return .macro(Macro(name: name, parameters: parameters, body: body, line: line))
    }

    private mutating func scope() throws(TemplateError) -> Statement {
        let line = line
        var values: [(name: String, value: Expression)] = []
        while current.kind != .statementEnd {
            if !values.isEmpty { try expect(",") }
            let name = try name()
            try expect("=")
            values.append((name, try expression()))
        }
        try endTag()
        return .scope(values, body: try body(until: "endwith"), line: line)
    }

    /// `a`, `a, b`, `(a, b)`, or `a.b`.
    private mutating func target(orMember: Bool) throws(TemplateError) -> Target {
        let first = try singleTarget(orMember)
        guard current.kind == .symbol(",") else { return first }
        var all = [first]
        while take(",") {
            // A comma may end them.
            if current.kind == .symbol("=") || current.kind == .name("in") { break }
            all.append(try singleTarget(orMember))
        }
        return .several(all)
    }

    private mutating func singleTarget(_ orMember: Bool) throws(TemplateError) -> Target {
        if take("(") {
            let inner = try nested { parser throws(TemplateError) in
                try parser.target(orMember: orMember)
            }
            try expect(")")
            return inner
        }
        let name = try name()
        guard !Self.constants.contains(name) else {
            throw TemplateError(.syntax, "'\(name)' cannot be given a value", line: line)
        }
        if orMember, take(".") { return .member(of: name, try self.name()) }
        return .name(name)
    }

    static let constants: Set<String> = ["true", "false", "none", "True", "False", "None"]
}
