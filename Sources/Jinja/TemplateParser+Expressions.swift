internal import OrderedCollections

// Expressions, by the precedence of Jinja's own parser (jinja2/parser.py, 3.1).
extension TemplateParser {
    private static let comparisons: Set<String> = ["==", "!=", "<", "<=", ">", ">="]
    /// Names that do not begin the argument of a test that is written without parentheses.
    private static let afterTest: Set<String> = ["else", "or", "and"]

    /// One expression, or several with commas between them, which make a tuple.
    mutating func several(withChoice: Bool = true) throws(TemplateError) -> Expression {
        let first = try withChoice ? expression() : disjunction()
        guard current.kind == .symbol(",") else { return first }
        var items = [first]
        while take(",") {
            if current.kind == .statementEnd || current.kind == .outputEnd
                || current.kind == .symbol(")")
            {
                break
            }
            items.append(try withChoice ? expression() : disjunction())
        }
        return .tuple(items)
    }

    mutating func expression() throws(TemplateError) -> Expression {
        try nested { parser throws(TemplateError) in
            var value = try parser.disjunction()
            while parser.takeWord("if") {
                try parser.deepen()
                let condition = try parser.disjunction()
                let otherwise = parser.takeWord("else") ? try parser.expression() : nil
                value = .choice(value, condition: condition, otherwise: otherwise)
            }
            return value
        }
    }

    private mutating func disjunction() throws(TemplateError) -> Expression {
        var value = try conjunction()
        while takeWord("or") {
            try deepen()
            value = .or(value, try conjunction())
        }
        return value
    }

    private mutating func conjunction() throws(TemplateError) -> Expression {
        var value = try negation()
        while takeWord("and") {
            try deepen()
            value = .and(value, try negation())
        }
        return value
    }

    private mutating func negation() throws(TemplateError) -> Expression {
        guard takeWord("not") else { return try comparison() }
        return try nested { parser throws(TemplateError) in .not(try parser.negation()) }
    }

    private mutating func comparison() throws(TemplateError) -> Expression {
        let first = try sum()
        var rest: [(Comparison, Expression)] = []
        while let comparison = takeComparison() { rest.append((comparison, try sum())) }
        return rest.isEmpty ? first : .comparison(first, rest)
    }

    private mutating func takeComparison() -> Comparison? {
        if case .symbol(let symbol) = current.kind, Self.comparisons.contains(symbol) {
            place += 1
            return Comparison(rawValue: symbol)
        }
        if takeWord("in") { return .in }
        guard current.kind == .name("not"), tokens[place + 1].kind == .name("in") else {
            return nil
        }
        place += 2
        return .notIn
    }

    private mutating func sum() throws(TemplateError) -> Expression {
        var value = try concatenation()
        while let operation = takeArithmetic(["+", "-"]) {
            try deepen()
            value = .arithmetic(operation, value, try concatenation())
        }
        return value
    }

    private mutating func concatenation() throws(TemplateError) -> Expression {
        let first = try product()
        guard current.kind == .symbol("~") else { return first }
        var items = [first]
        while take("~") { items.append(try product()) }
        return .concatenation(items)
    }

    private mutating func product() throws(TemplateError) -> Expression {
        var value = try power()
        while let operation = takeArithmetic(["*", "/", "//", "%"]) {
            try deepen()
            value = .arithmetic(operation, value, try power())
        }
        return value
    }

    private mutating func takeArithmetic(_ symbols: Set<String>) -> Arithmetic? {
        guard case .symbol(let symbol) = current.kind, symbols.contains(symbol) else { return nil }
        place += 1
        return Arithmetic(rawValue: symbol)
    }

    private mutating func power() throws(TemplateError) -> Expression {
        var value = try unary(withFilters: true)
        while take("**") {
            try deepen()
            value = .arithmetic(.power, value, try unary(withFilters: true))
        }
        return value
    }

    private mutating func unary(withFilters: Bool) throws(TemplateError) -> Expression {
        var value: Expression
        if take("-") {
            value = .negative(
                try nested { parser throws(TemplateError) in try parser.unary(withFilters: false) }
            )
        } else if take("+") {
            value = .positive(
                try nested { parser throws(TemplateError) in try parser.unary(withFilters: false) }
            )
        } else {
            value = try primary()
        }
        value = try postfix(value)
        return withFilters ? try filters(value) : value
    }

    private mutating func primary() throws(TemplateError) -> Expression {
        let token = current
        place += 1
        switch token.kind {
        case .name(let name):
            switch name {
            case "true", "True": return .constant(.flag(true))
            case "false", "False": return .constant(.flag(false))
            case "none", "None": return .constant(.none)
            default: return .name(name)
            }
        case .string(var text):
            // Texts side by side are one.
            while case .string(let more) = current.kind {
                text += more
                place += 1
            }
            return .constant(.text(text))
        case .integer(let value): return .constant(.integer(value))
        case .real(let value): return .constant(.real(value))
        case .symbol("("):
            if take(")") { return .tuple([]) }
            let inner = try several()
            try expect(")")
            return inner
        case .symbol("["): return .list(try items(until: "]"))
        case .symbol("{"): return try object()
        default:
            place -= 1
            throw unexpected()
        }
    }

    private mutating func items(until end: String) throws(TemplateError) -> [Expression] {
        var items: [Expression] = []
        while !take(end) {
            if !items.isEmpty {
                try expect(",")
                if take(end) { break }
            }
            items.append(try expression())
        }
        return items
    }

    private mutating func object() throws(TemplateError) -> Expression {
        var members: [(key: Expression, value: Expression)] = []
        while !take("}") {
            if !members.isEmpty {
                try expect(",")
                if take("}") { break }
            }
            let key = try expression()
            try expect(":")
            members.append((key, try expression()))
        }
        return .object(members)
    }

    /// Members, items, slices and calls behind a value.
    private mutating func postfix(_ first: Expression) throws(TemplateError) -> Expression {
        var value = first
        while true {
            let line = line
            try deepen()
            if take(".") {
                if case .integer(let index) = current.kind {
                    place += 1
                    value = .item(value, .constant(.integer(index)))
                } else {
                    value = .member(value, try name())
                }
            } else if take("[") {
                value = try subscription(of: value)
            } else if take("(") {
                value = .call(value, try arguments(), line: line)
            } else {
                return value
            }
        }
    }

    private mutating func subscription(of value: Expression) throws(TemplateError) -> Expression {
        func isBorder(_ parser: TemplateParser) -> Bool {
            parser.current.kind == .symbol(":") || parser.current.kind == .symbol("]")
        }
        let start = isBorder(self) ? nil : try expression()
        guard take(":") else {
            guard let start else { throw unexpected() }
            if current.kind == .symbol(",") {
                throw TemplateError(
                    .unsupported,
                    "several items at once are not rendered here",
                    line: line
                )
            }
            try expect("]")
            return .item(value, start)
        }
        let end = isBorder(self) ? nil : try expression()
        let step = take(":") && !isBorder(self) ? try expression() : nil
        try expect("]")
        return .slice(value, from: start, to: end, by: step)
    }

    /// Arguments up to the parenthesis that ends them.
    private mutating func arguments() throws(TemplateError) -> Arguments {
        var arguments = Arguments()
        var isFirst = true
        while !take(")") {
            if !isFirst {
                try expect(",")
                if take(")") { break }
            }
            isFirst = false
            if current.kind == .symbol("*") || current.kind == .symbol("**") {
                throw TemplateError(.unsupported, "*arguments are not rendered here", line: line)
            }
            if case .name(let name) = current.kind, tokens[place + 1].kind == .symbol("=") {
                place += 2
                arguments.named.append((name, try expression()))
            } else {
                guard arguments.named.isEmpty else { throw unexpected() }
                arguments.positional.append(try expression())
            }
        }
        return arguments
    }

    /// A filter's name, and its arguments.
    mutating func application() throws(TemplateError) -> Application {
        let line = line
        let name = try name()
        guard TemplateFilters.names.contains(name) else {
            throw TemplateError(
                .unsupported,
                "the filter '\(name)' is not rendered here",
                line: line
            )
        }
        let arguments = take("(") ? try arguments() : Arguments()
        return Application(name: name, arguments: arguments, line: line)
    }

    private mutating func filters(_ first: Expression) throws(TemplateError) -> Expression {
        var value = first
        while true {
            let line = line
            try deepen()
            if take("|") {
                value = .filter(value, try application())
            } else if takeWord("is") {
                value = try test(of: value)
            } else if take("(") {
                value = .call(value, try arguments(), line: line)
            } else {
                return value
            }
        }
    }

    private mutating func test(of value: Expression) throws(TemplateError) -> Expression {
        let line = line
        let isNegated = takeWord("not")
        let name = try name()
        guard TemplatePredicates.names.contains(name) else {
            throw TemplateError(.unsupported, "the test '\(name)' is not rendered here", line: line)
        }
        var arguments = Arguments()
        switch current.kind {
        case .symbol("("):
            place += 1
            arguments = try self.arguments()
        case .name("is"):
            throw TemplateError(.syntax, "tests cannot be chained with 'is'", line: self.line)
        case .name(let word) where Self.afterTest.contains(word): break
        case .name, .string, .integer, .real, .symbol("["), .symbol("{"):
            arguments.positional = [try postfix(try primary())]
        default: break
        }
        return .test(
            value,
            Application(name: name, arguments: arguments, line: line),
            isNegated: isNegated
        )
    }
}
