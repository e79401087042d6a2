internal import OrderedCollections

/// Jinja's tests: `value is NAME`.
enum TemplatePredicates {
    private static let comparisons: [String: Comparison] = [
        "eq": .equal, "==": .equal, "equalto": .equal, "ne": .notEqual, "!=": .notEqual,
        "lt": .less, "<": .less,
        "lessthan": .less, "le": .lessOrEqual, "<=": .lessOrEqual, "gt": .greater, ">": .greater,
        "greaterthan": .greater, "ge": .greaterOrEqual, ">=": .greaterOrEqual, "in": .in,
    ]

    private static let plain: Set<String> = [
        "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number",
        "string", "mapping",
        "sequence", "iterable", "callable", "odd", "even", "upper", "lower",
    ]

    static let names = plain.union(comparisons.keys).union(["divisibleby", "sameas"])

    static func holds(
        _ name: String,
        _ value: TemplateValue,
        _ arguments: CallArguments
    ) throws(TemplateError) -> Bool {
        if plain.contains(name) {
            try arguments.require([], of: name)
            return try holds(name, value)
        }
        try arguments.require(["other"], of: name)
        guard let other = arguments.value(0, "other") else {
            throw TemplateError(.type, "the test '\(name)' takes an argument")
        }
        if let comparison = comparisons[name] {
            return try TemplateArithmetic.holds(comparison, value, other)
        }
        guard name == "divisibleby" else { return isSame(value, other) }
        guard let number = value.wholeNumber, let divisor = other.wholeNumber, divisor != 0 else {
            throw TemplateError(.type, "divisibleby takes whole numbers")
        }
        return number.isMultiple(of: divisor)
    }

    private static func holds(_ name: String, _ value: TemplateValue) throws(TemplateError) -> Bool
    {
        switch (name, value) {
        case ("defined", .undefined): false
        case ("defined", _): true
        case ("undefined", .undefined), ("none", .none), ("boolean", .flag), ("integer", .integer),
            ("float", .real),
            ("number", .integer), ("number", .real), ("number", .flag), ("string", .text),
            ("mapping", .object),
            ("callable", .function):
            true
        case ("true", .flag(let value)): value
        case ("false", .flag(let value)): !value
        case ("sequence", .text), ("sequence", .list), ("sequence", .tuple), ("sequence", .object),
            ("sequence", .undefined), ("iterable", .text), ("iterable", .list),
            ("iterable", .tuple),
            ("iterable", .object), ("iterable", .undefined), ("iterable", .loop),
            ("sequence", .loop):
            true
        case ("upper", .text(let text)): text == text.uppercased() && text != text.lowercased()
        case ("lower", .text(let text)): text == text.lowercased() && text != text.uppercased()
        case ("odd", _): try isEven(value) == false
        case ("even", _): try isEven(value)
        default: false
        }
    }

    private static func isEven(_ value: TemplateValue) throws(TemplateError) -> Bool {
        guard let number = value.wholeNumber else {
            throw TemplateError(.type, "odd and even take a whole number, not \(value.kind)")
        }
        return number.isMultiple(of: 2)
    }

    private static func isSame(_ one: TemplateValue, _ other: TemplateValue) -> Bool {
        switch (one, other) {
        case (.none, .none): true
        case (.flag(let one), .flag(let other)): one == other
        case (.integer, .integer), (.text, .text): TemplateValue.areEqual(one, other)
        default: false
        }
    }
}
