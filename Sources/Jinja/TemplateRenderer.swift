internal import OrderedCollections

/// Names of a part of a template, and those around it.
final class Scope {
    private var values: [String: TemplateValue]
    private let outer: Scope?

    init(_ values: [String: TemplateValue] = [:], within outer: Scope? = nil) {
        self.values = values
        self.outer = outer
    }

    func value(_ name: String) -> TemplateValue? {
        var scope: Scope? = self
        while let current = scope {
            if let value = current.values[name] { return value }
            scope = current.outer
        }
        return nil
    }

    func set(_ name: String, _ value: TemplateValue) { values[name] = value }
}

/// Renders statements into a text.
///
/// Of one thread. What a template may take is bounded by steps, depth and bytes: it is a stranger's program.
final class TemplateRenderer {
    /// How a body ended.
    enum Flow { case on, breaks, continues }

    private var output = ""
    /// UTF-8 offsets of what `{% generation %}` wrapped.
    private(set) var generated: [Range<Int>] = []
    private var isCapturing = false
    private var steps = 0
    private var depth = 0

    /// Renders a template.
    static func render(
        _ statements: [Statement],
        _ values: [String: TemplateValue]
    ) throws(TemplateError) -> (text: String, generated: [Range<Int>]) {
        let renderer = TemplateRenderer()
        let scope = Scope(values, within: Scope(TemplateGlobals.values))
        _ = try renderer.render(statements, scope)
        return (renderer.output, renderer.generated)
    }

    /// Counts steps.
    func count(_ number: Int = 1) throws(TemplateError) {
        steps += number
        guard steps <= TemplateLimits.steps else {
            throw TemplateError(.limit, "it takes more than \(TemplateLimits.steps) steps")
        }
    }

    /// Counts the steps that it took to make a value.
    func charged(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
        try count(value.weight() / 16)
        return value
    }

    func nested<T>(_ body: () throws(TemplateError) -> T) throws(TemplateError) -> T {
        depth += 1
        defer { depth -= 1 }
        try count()
        guard depth <= TemplateLimits.depth else {
            throw TemplateError(.limit, "it nests deeper than \(TemplateLimits.depth) levels")
        }
        return try body()
    }

    private func write(_ text: String) throws(TemplateError) {
        try TemplateLimits.require(bytes: output.utf8.count, and: text.utf8.count)
        output += text
    }

    /// What a body renders, apart from the output.
    func captured(_ body: () throws(TemplateError) -> Void) throws(TemplateError) -> String {
        let (outer, wasCapturing) = (output, isCapturing)
        (output, isCapturing) = ("", true)
        defer { (output, isCapturing) = (outer, wasCapturing) }
        try body()
        return output
    }

    /// Gives errors that know no line the statement's.
    private func at<T>(
        _ line: Int,
        _ body: () throws(TemplateError) -> T
    ) throws(TemplateError) -> T {
        do {
            return try body()
        } catch {
            var error = error
            if error.line == 0 { error.line = line }
            throw error
        }
    }

    func render(_ statements: [Statement], _ scope: Scope) throws(TemplateError) -> Flow {
        for statement in statements {
            let flow = try nested { () throws(TemplateError) in try render(statement, scope) }
            if flow != .on { return flow }
        }
        return .on
    }

    private func render(_ statement: Statement, _ scope: Scope) throws(TemplateError) -> Flow {
        switch statement {
        case .text(let text): try write(text)
        case .output(let expression, let line):
            try at(line) { () throws(TemplateError) in
                try write(try string(evaluate(expression, scope)))
            }
        case .condition(let branches, let line):
            for branch in branches {
                let holds = try at(line) { () throws(TemplateError) in
                    try branch.condition.map { expression throws(TemplateError) in
                        try evaluate(expression, scope).isTrue
                    } ?? true
                }
                if holds { return try render(branch.body, scope) }
            }
        case .loop(let loop): return try render(loop, scope)
        case .assignment(let target, let expression, let line):
            try at(line) { () throws(TemplateError) in
                try assign(try evaluate(expression, scope), to: target, scope)
            }
        case .capture(let target, let filters, let body, let line):
            let text = try captured { () throws(TemplateError) in
                _ = try render(body, Scope(within: scope))
            }
            try at(line) { () throws(TemplateError) in
                try assign(try filtered(.text(text), filters, scope), to: target, scope)
            }
        case .filtered(let filters, let body, let line):
            let text = try captured { () throws(TemplateError) in
                _ = try render(body, Scope(within: scope))
            }
            try at(line) { () throws(TemplateError) in
                try write(try string(filtered(.text(text), filters, scope)))
            }
        case .scope(let values, let body, let line):
            let inner = Scope(within: scope)
            for (name, value) in values {
                inner.set(
                    name,
                    try at(line) { () throws(TemplateError) in try evaluate(value, scope) }
                )
            }
            return try render(body, inner)
        case .macro(let macro): scope.set(macro.name, .function(function(macro, scope)))
        case .generation(let body, let line): try renderGeneration(body, scope, line)
        case .breakLoop: return .breaks
        case .continueLoop: return .continues
        }
        return .on
    }

    private func renderGeneration(
        _ body: [Statement],
        _ scope: Scope,
        _ line: Int
    ) throws(TemplateError) {
        guard !isCapturing else {
            throw TemplateError(
                .unsupported,
                "{% generation %} within a macro, a filter or {% set %}, where its place in the text is lost",
                line: line
            )
        }
        let start = output.utf8.count
        _ = try render(body, Scope(within: scope))
        generated.append(start..<output.utf8.count)
    }

    private func filtered(
        _ value: TemplateValue,
        _ filters: [Application],
        _ scope: Scope
    ) throws(TemplateError) -> TemplateValue {
        var value = value
        for filter in filters { value = try apply(filter, to: value, scope) }
        return value
    }

    private func render(_ loop: Loop, _ scope: Scope) throws(TemplateError) -> Flow {
        let items = try at(loop.line) { () throws(TemplateError) in
            var items = try TemplateMethods.elements(of: evaluate(loop.items, scope), in: "for")
            if let condition = loop.condition {
                var kept: [TemplateValue] = []
                for item in items {
                    let inner = Scope(within: scope)
                    try assign(item, to: loop.target, inner)
                    if try evaluate(condition, inner).isTrue { kept.append(item) }
                }
                items = kept
            }
            return items
        }
        guard !items.isEmpty else { return try render(loop.otherwise, Scope(within: scope)) }
        let state = LoopState(items)
        for (index, item) in items.enumerated() {
            state.index = index
            let inner = Scope(["loop": .loop(state)], within: scope)
            try at(loop.line) { () throws(TemplateError) in try assign(item, to: loop.target, inner)
            }
            if try render(loop.body, inner) == .breaks { break }
        }
        return .on
    }

    private func assign(
        _ value: TemplateValue,
        to target: Target,
        _ scope: Scope
    ) throws(TemplateError) {
        switch target {
        case .name(let name): scope.set(name, value)
        case .member(let of, let name):
            guard case .namespace(let space) = scope.value(of) ?? .undefined(of) else {
                throw TemplateError(
                    .type,
                    "'\(of)' is no namespace, and only those have members that change"
                )
            }
            space.members[name] = value
            try count(TemplateValue.namespace(space).weight() / 16)
        case .several(let targets):
            let items = try TemplateMethods.elements(of: value, in: "set")
            guard items.count == targets.count else {
                throw TemplateError(.type, "\(items.count) values for \(targets.count) names")
            }
            for (target, item) in zip(targets, items) { try assign(item, to: target, scope) }
        }
    }

    private func function(_ macro: Macro, _ scope: Scope) -> TemplateFunction {
        TemplateFunction(macro.name) { [self] arguments throws(TemplateError) in
            try arguments.require(macro.parameters.map(\.name), of: macro.name)
            let inner = Scope(within: scope)
            for (place, parameter) in macro.parameters.enumerated() {
                let value: TemplateValue
                if let given = arguments.value(place, parameter.name) {
                    value = given
                } else if let fallback = parameter.fallback {
                    value = try evaluate(fallback, inner)
                } else {
                    value = .undefined(parameter.name)
                }
                inner.set(parameter.name, value)
            }
            return .text(
                try captured { () throws(TemplateError) in
                    try nested { () throws(TemplateError) in _ = try render(macro.body, inner) }
                }
            )
        }
    }
}
