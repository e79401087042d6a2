internal import OrderedCollections

extension TemplateRenderer {
    func evaluate(_ expression: Expression, _ scope: Scope) throws(TemplateError) -> TemplateValue {
        try nested { () throws(TemplateError) in try value(of: expression, scope) }
    }

    private func value(of expression: Expression, _ scope: Scope) throws(TemplateError)
        -> TemplateValue
    {
        switch expression {
        case .constant(let value): return value
        case .name(let name): return scope.value(name) ?? .undefined(name)
        case .list(let items): return try charged(.list(evaluate(items, scope)))
        case .tuple(let items): return try charged(.tuple(evaluate(items, scope)))
        case .object(let members): return try charged(object(members, scope))
        case .member(let owner, let name): return try member(name, of: evaluate(owner, scope))
        case .item(let owner, let index):
            let value = try evaluate(owner, scope)
            return try item(evaluate(index, scope), of: value)
        case .slice(let owner, let from, let to, let by):
            return try charged(
                slice(
                    evaluate(owner, scope),
                    from: border(from, scope),
                    to: border(to, scope),
                    by: border(by, scope) ?? 1
                )
            )
        case .call(let callee, let arguments, let line):
            return try charged(call(callee, arguments, scope, line))
        case .filter(let operand, let filter):
            return try apply(filter, to: evaluate(operand, scope), scope)
        case .test(let operand, let test, let isNegated):
            let holds = try TemplatePredicates.holds(
                test.name,
                evaluate(operand, scope),
                try self.arguments(test.arguments, scope)
            )
            return .flag(holds != isNegated)
        case .negative(let operand): return try negative(evaluate(operand, scope))
        case .positive(let operand):
            let value = try evaluate(operand, scope)
            guard value.number != nil else { throw TemplateError(.type, "+ of \(value.kind)") }
            return value
        case .not(let operand): return .flag(!(try evaluate(operand, scope).isTrue))
        case .and(let left, let right):
            let value = try evaluate(left, scope)
            return value.isTrue ? try evaluate(right, scope) : value
        case .or(let left, let right):
            let value = try evaluate(left, scope)
            return value.isTrue ? value : try evaluate(right, scope)
        case .comparison(let first, let rest): return try compare(first, rest, scope)
        case .arithmetic(let operation, let left, let right):
            return try charged(
                TemplateArithmetic.compute(
                    operation,
                    try evaluate(left, scope),
                    try evaluate(right, scope)
                )
            )
        case .concatenation(let items):
            var text = ""
            for item in items {
                let piece = try string(evaluate(item, scope))
                try TemplateLimits.require(bytes: text.utf8.count, and: piece.utf8.count)
                text += piece
            }
            return try charged(.text(text))
        case .choice(let value, let condition, let otherwise):
            if try evaluate(condition, scope).isTrue { return try evaluate(value, scope) }
            guard let otherwise else { return .undefined("a choice without else") }
            return try evaluate(otherwise, scope)
        }
    }

    private func evaluate(_ items: [Expression], _ scope: Scope) throws(TemplateError)
        -> [TemplateValue]
    {
        var values: [TemplateValue] = []
        for item in items { values.append(try evaluate(item, scope)) }
        return values
    }

    private func object(
        _ members: [(key: Expression, value: Expression)],
        _ scope: Scope
    ) throws(TemplateError) -> TemplateValue {
        var found: OrderedDictionary<String, TemplateValue> = [:]
        for (key, value) in members {
            let key = try evaluate(key, scope)
            guard case .text(let name) = key else {
                throw TemplateError(
                    .unsupported,
                    "a key that is no text but \(key.kind) is not rendered here"
                )
            }
            found[name] = try evaluate(value, scope)
        }
        return .object(found)
    }

    private func border(_ expression: Expression?, _ scope: Scope) throws(TemplateError) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression, scope)
        if case .none = value { return nil }
        guard let number = value.wholeNumber else {
            throw TemplateError(.type, "a slice's border is no whole number but \(value.kind)")
        }
        return number
    }

    func arguments(_ arguments: Arguments, _ scope: Scope) throws(TemplateError) -> CallArguments {
        var values = CallArguments(positional: try evaluate(arguments.positional, scope))
        for (name, value) in arguments.named {
            values.named.append((name, try evaluate(value, scope)))
        }
        return values
    }

    private func call(
        _ callee: Expression,
        _ arguments: Arguments,
        _ scope: Scope,
        _ line: Int
    ) throws(TemplateError) -> TemplateValue {
        let function = try evaluate(callee, scope)
        let values = try self.arguments(arguments, scope)
        switch function {
        case .function(let function): return try function.call(values)
        case .undefined(let name):
            throw TemplateError(.undefined, "\(name) is undefined, and is called", line: line)
        default: throw TemplateError(.type, "\(function.kind) is called", line: line)
        }
    }

    func apply(
        _ filter: Application,
        to value: TemplateValue,
        _ scope: Scope
    ) throws(TemplateError) -> TemplateValue {
        let arguments = try arguments(filter.arguments, scope)
        return try charged(TemplateFilters.apply(filter.name, to: value, arguments))
    }

    private func negative(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
        if case .real(let number) = value { return .real(-number) }
        if case .undefined(let what) = value {
            throw TemplateError(.undefined, "\(what) is undefined, and computed with")
        }
        guard let number = value.wholeNumber else {
            throw TemplateError(.type, "- of \(value.kind)")
        }
        return .integer(-number)
    }

    private func compare(
        _ first: Expression,
        _ rest: [(Comparison, Expression)],
        _ scope: Scope
    ) throws(TemplateError) -> TemplateValue {
        var left = try evaluate(first, scope)
        for (comparison, expression) in rest {
            let right = try evaluate(expression, scope)
            guard try TemplateArithmetic.holds(comparison, left, right) else { return .flag(false) }
            left = right
        }
        return .flag(true)
    }

    // MARK: Parts of values

    /// A value's member by name: of a dictionary, its methods come before its keys.
    func member(_ name: String, of value: TemplateValue) throws(TemplateError) -> TemplateValue {
        switch value {
        case .undefined(let what):
            throw TemplateError(.undefined, "\(what) is undefined, and its \(name) is asked for")
        case .namespace(let space): return space.members[name] ?? .undefined(name)
        case .loop(let state): return state.attribute(name)
        default:
            if let method = TemplateMethods.method(name, of: value) { return .function(method) }
            if case .object(let members) = value, let member = members[name] { return member }
            return .undefined(name)
        }
    }

    func item(_ index: TemplateValue, of value: TemplateValue) throws(TemplateError)
        -> TemplateValue
    {
        switch value {
        case .undefined(let what):
            throw TemplateError(.undefined, "\(what) is undefined, and an item of it is asked for")
        case .list(let items), .tuple(let items):
            guard let number = index.wholeNumber else { break }
            let place = number < 0 ? number + items.count : number
            return items.indices.contains(place) ? items[place] : .undefined("item \(number)")
        case .text(let text):
            guard let number = index.wholeNumber else { break }
            let scalars = Array(text.unicodeScalars)
            let place = number < 0 ? number + scalars.count : number
            guard scalars.indices.contains(place) else { return .undefined("character \(number)") }
            return .text(String(Character(scalars[place])))
        case .object(let members):
            guard case .text(let key) = index else { return .undefined("an item that is no text") }
            if let member = members[key] { return member }
        default: break
        }
        // As Jinja, which asks for an attribute where there is no item.
        guard case .text(let name) = index else { return .undefined("an item") }
        return try member(name, of: value)
    }

    private func slice(
        _ value: TemplateValue,
        from: Int?,
        to: Int?,
        by step: Int
    ) throws(TemplateError) -> TemplateValue {
        guard step != 0 else { throw TemplateError(.type, "a slice by steps of 0") }
        func indices(_ count: Int) -> [Int] {
            func place(_ border: Int?, _ fallback: Int) -> Int {
                guard let border else { return fallback }
                let place = border < 0 ? border + count : border
                return step > 0 ? min(max(place, 0), count) : min(max(place, -1), count - 1)
            }
            let start = place(from, step > 0 ? 0 : count - 1)
            let end = place(to, step > 0 ? count : -1)
            return Array(stride(from: start, to: end, by: step))
        }
        switch value {
        case .list(let items): return .list(indices(items.count).map { items[$0] })
        case .tuple(let items): return .tuple(indices(items.count).map { items[$0] })
        case .text(let text):
            let scalars = Array(text.unicodeScalars)
            var view = String.UnicodeScalarView()
            view.append(contentsOf: indices(scalars.count).map { scalars[$0] })
            return .text(String(view))
        case .undefined(let what):
            throw TemplateError(.undefined, "\(what) is undefined, and a slice of it is asked for")
        default: throw TemplateError(.type, "a slice of \(value.kind)")
        }
    }

    func string(_ value: TemplateValue) throws(TemplateError) -> String {
        if case .text(let text) = value { return text }
        return TemplateText.string(try charged(value))
    }
}
