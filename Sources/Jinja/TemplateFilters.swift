internal import OrderedCollections

/// Jinja's filters, as chat templates use them.
///
/// `safe` changes nothing. In Jinja what it marks escapes HTML in texts that are joined to it by `+` or `~`,
/// of which no published chat template makes use.
enum TemplateFilters {
    private static let parameters: [String: [String]] = [
        "abs": [], "capitalize": [], "count": [], "first": [], "items": [], "last": [],
        "length": [], "list": [],
        "lower": [], "reverse": [], "safe": [], "string": [], "title": [], "upper": [],
        "attr": ["name"], "default": ["default_value", "boolean"],
        "d": ["default_value", "boolean"],
        "dictsort": ["case_sensitive", "by", "reverse"], "float": ["default"],
        "int": ["default", "base"],
        "indent": ["width", "first", "blank"], "join": ["d", "attribute"],
        "max": ["case_sensitive", "attribute"],
        "min": ["case_sensitive", "attribute"], "replace": ["old", "new", "count"],
        "round": ["precision", "method"],
        "sort": ["reverse", "case_sensitive", "attribute"], "sum": ["attribute", "start"],
        "tojson": ["ensure_ascii", "indent", "separators", "sort_keys"], "trim": ["chars"],
        "unique": ["case_sensitive", "attribute"],
    ]
    /// Filters that take a test or a filter, and its arguments.
    private static let selecting: Set<String> = [
        "map", "select", "reject", "selectattr", "rejectattr",
    ]

    static let names = Set(parameters.keys).union(selecting)

    static func apply(
        _ name: String,
        to value: TemplateValue,
        _ arguments: CallArguments
    ) throws(TemplateError) -> TemplateValue {
        if selecting.contains(name) {
            return try TemplateSelection.apply(name, to: value, arguments)
        }
        try arguments.require(parameters[name] ?? [], of: name)
        switch name {
        case "default", "d":
            if case .undefined = value { return arguments.value(0, "default_value") ?? .text("") }
            let isReplaced = arguments.flag(1, "boolean", default: false) && !value.isTrue
            return isReplaced ? arguments.value(0, "default_value") ?? .text("") : value
        case "safe": return value
        case "string": return .text(TemplateText.string(value))
        case "tojson": return .text(try json(arguments).string(value))
        case "abs", "int", "float", "round":
            if case .undefined(let what) = value {
                throw TemplateError(
                    .undefined,
                    "\(what) is undefined, and \(name) of it is asked for"
                )
            }
            return try number(name, value, arguments)
        case "indent":
            guard case .text(let text) = value else {
                throw TemplateError(.type, "indent of \(value.kind)")
            }
            return .text(try indented(text, arguments))
        case "upper", "lower", "title", "capitalize", "trim", "replace":
            return .text(try text(name, TemplateText.string(value), arguments))
        default: return try collection(name, value, arguments)
        }
    }

    private static func json(_ arguments: CallArguments) throws(TemplateError) -> TemplateJSON {
        var json = TemplateJSON()
        json.escapesAll = arguments.flag(0, "ensure_ascii", default: false)
        json.sortsKeys = arguments.flag(3, "sort_keys", default: false)
        json.indentation = try TemplateLimits.indentation(
            arguments.value(1, "indent"),
            of: "tojson"
        )
        if json.indentation != nil { json.itemSeparator = "," }
        switch arguments.value(2, "separators") {
        case nil, .some(.none): break
        case .tuple(let pair), .list(let pair):
            guard pair.count == 2, case .text(let item) = pair[0], case .text(let key) = pair[1]
            else { fallthrough }
            (json.itemSeparator, json.keySeparator) = (item, key)
        default: throw TemplateError(.type, "tojson: separators are two texts")
        }
        return json
    }

    // MARK: Numbers

    private static func number(
        _ name: String,
        _ value: TemplateValue,
        _ arguments: CallArguments
    ) throws(TemplateError) -> TemplateValue {
        switch name {
        case "int":
            if let number = value.wholeNumber { return .integer(number) }
            let base = try arguments.integer(1, "base", of: name) ?? 10
            guard (2...36).contains(base) else { throw TemplateError(.type, "int: base \(base)") }
            if case .text(let text) = value {
                let trimmed = TemplateText.strip(text, nil)
                if let number = Int(trimmed, radix: base) { return .integer(number) }
            }
            if let real = real(of: value), real.isFinite, real.magnitude < 9e18 {
                return .integer(Int(real))
            }
            return arguments.value(0, "default") ?? .integer(0)
        case "float":
            return real(of: value).map(TemplateValue.real) ?? arguments.value(0, "default")
                ?? .real(0)
        case "abs":
            if let number = value.wholeNumber { return .integer(abs(number)) }
            guard let real = value.number else {
                throw TemplateError(.type, "abs of \(value.kind)")
            }
            return .real(abs(real))
        default:
            guard let real = value.number else {
                throw TemplateError(.type, "round of \(value.kind)")
            }
            guard (try arguments.integer(0, "precision", of: name) ?? 0) == 0 else {
                throw TemplateError(.unsupported, "round with a precision is not rendered here")
            }
            switch try arguments.text(1, "method", of: name) ?? "common" {
            case "common":
                // Python's round of a whole number stays one.
                return value.wholeNumber.map(TemplateValue.integer)
                    ?? .real(real.rounded(.toNearestOrEven))
            case "ceil": return .real(real.rounded(.up))
            case "floor": return .real(real.rounded(.down))
            default: throw TemplateError(.type, "round: the method is common, ceil or floor")
            }
        }
    }

    private static func real(of value: TemplateValue) -> Double? {
        guard case .text(let text) = value else { return value.number }
        return Double(TemplateText.strip(text, nil))
    }

    // MARK: Texts

    private static func text(
        _ name: String,
        _ text: String,
        _ arguments: CallArguments
    ) throws(TemplateError) -> String {
        switch name {
        case "upper": return text.uppercased()
        case "lower": return text.lowercased()
        case "capitalize": return TemplateText.capitalized(text)
        case "title": return title(text)
        case "trim": return TemplateText.strip(text, try arguments.text(0, "chars", of: name))
        default:
            guard let old = arguments.value(0, "old"), let new = arguments.value(1, "new") else {
                throw TemplateError(.type, "replace takes two texts")
            }
            let count = try arguments.integer(2, "count", of: name)
            return try TemplateText.replace(
                text,
                TemplateText.string(old),
                TemplateText.string(new),
                count: (count ?? -1) < 0 ? nil : count
            )
        }
    }

    /// Words begin with capitals: behind white space, and `-`, `(`, `{`, `[`, `<`.
    private static func title(_ text: String) -> String {
        var (result, isStart) = ("", true)
        for scalar in text.unicodeScalars {
            let isBorder = TemplateText.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar)
            result +=
                isStart && !isBorder
                ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
            isStart = isBorder
        }
        return result
    }

    private static func indented(_ text: String, _ arguments: CallArguments) throws(TemplateError)
        -> String
    {
        let indentation =
            try TemplateLimits.indentation(arguments.value(0, "width"), of: "indent") ?? "    "
        let indentsBlank = arguments.flag(2, "blank", default: false)
        let lines = try TemplateText.lines(text + "\n", keepingEnds: false)
        try TemplateLimits.require(
            bytes: indentation.utf8.count,
            times: lines.count,
            and: text.utf8.count
        )
        var result = arguments.flag(1, "first", default: false) ? indentation : ""
        for (index, line) in lines.enumerated() {
            if index > 0 { result += "\n" + (line.isEmpty && !indentsBlank ? "" : indentation) }
            result += line
        }
        return result
    }

    // MARK: Collections

    private static func collection(
        _ name: String,
        _ value: TemplateValue,
        _ arguments: CallArguments
    ) throws(TemplateError) -> TemplateValue {
        switch name {
        case "length", "count":
            switch value {
            case .text, .list, .tuple, .object, .undefined:
                return .integer(try TemplateMethods.elements(of: value, in: name).count)
            case .loop(let state): return .integer(state.items.count)
            default: throw TemplateError(.type, "\(value.kind) has no length")
            }
        case "items":
            switch value {
            case .object(let members): return .list(members.map { .tuple([.text($0), $1]) })
            case .undefined: return .list([])
            default: throw TemplateError(.type, "items of \(value.kind)")
            }
        case "attr":
            guard let key = try arguments.text(0, "name", of: name) else {
                throw TemplateError(.type, "attr takes a name")
            }
            return TemplateMethods.method(key, of: value).map(TemplateValue.function)
                ?? .undefined(key)
        case "first":
            return try TemplateMethods.elements(of: value, in: name).first
                ?? .undefined("the first item")
        case "last":
            return try TemplateMethods.elements(of: value, in: name).last
                ?? .undefined("the last item")
        case "list": return .list(try TemplateMethods.elements(of: value, in: name))
        case "reverse":
            if case .text(let text) = value {
                return .text(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
            }
            return .list(try TemplateMethods.elements(of: value, in: name).reversed())
        case "join":
            let separator = arguments.value(0, "d").map(TemplateText.string) ?? ""
            let path = arguments.value(1, "attribute")
            var pieces: [String] = []
            for item in try TemplateMethods.elements(of: value, in: name) {
                pieces.append(TemplateText.string(try TemplateSelection.member(path, of: item)))
            }
            return .text(try TemplateText.joined(pieces, separator))
        default: return try ordered(name, value, arguments)
        }
    }

    private static func ordered(
        _ name: String,
        _ value: TemplateValue,
        _ arguments: CallArguments
    ) throws(TemplateError) -> TemplateValue {
        let items = try TemplateMethods.elements(of: value, in: name)
        switch name {
        case "sum":
            var total = arguments.value(1, "start") ?? .integer(0)
            for item in items {
                let member = try TemplateSelection.member(arguments.value(0, "attribute"), of: item)
                total = try TemplateArithmetic.compute(.add, total, member)
            }
            return total
        case "dictsort":
            guard case .object(let members) = value else {
                throw TemplateError(.type, "dictsort of \(value.kind)")
            }
            let by = try arguments.text(1, "by", of: name) ?? "key"
            guard by == "key" || by == "value" else {
                throw TemplateError(.type, "dictsort by key or value")
            }
            return .list(
                try TemplateSelection.sorted(
                    members.map { .tuple([.text($0), $1]) },
                    by: .integer(by == "key" ? 0 : 1),
                    isCaseSensitive: arguments.flag(0, "case_sensitive", default: false),
                    isReversed: arguments.flag(2, "reverse", default: false)
                )
            )
        case "sort":
            return .list(
                try TemplateSelection.sorted(
                    items,
                    by: arguments.value(2, "attribute"),
                    isCaseSensitive: arguments.flag(1, "case_sensitive", default: false),
                    isReversed: arguments.flag(0, "reverse", default: false)
                )
            )
        default:
            let isCaseSensitive = arguments.flag(0, "case_sensitive", default: false)
            let path = arguments.value(1, "attribute")
            if name == "unique" {
                return .list(
                    try TemplateSelection.unique(items, by: path, isCaseSensitive: isCaseSensitive)
                )
            }
            var best: (item: TemplateValue, key: TemplateValue)?
            for item in items {
                let key = try TemplateSelection.key(path, of: item, isCaseSensitive)
                if let found = best {
                    let order = try TemplateArithmetic.compare(key, found.key)
                    guard name == "max" ? order > 0 : order < 0 else { continue }
                }
                best = (item, key)
            }
            return best?.item ?? .undefined("the \(name) of nothing")
        }
    }
}
