internal import OrderedCollections

/// Filters that select, map and order items.
enum TemplateSelection {
    static func apply(
        _ name: String,
        to value: TemplateValue,
        _ arguments: CallArguments
    ) throws(TemplateError) -> TemplateValue {
        // As in Jinja, nothing is selected of what counts as false, whatever it is.
        let items = value.isTrue ? try TemplateMethods.elements(of: value, in: name) : []
        if name == "map" { return .list(try map(items, arguments)) }
        let byMember = name.hasSuffix("attr")
        var rest = arguments
        guard rest.named.isEmpty else {
            throw TemplateError(.type, "\(name) takes no arguments by name")
        }
        var path: TemplateValue?
        if byMember {
            guard !rest.positional.isEmpty else {
                throw TemplateError(.type, "\(name) takes a member's name")
            }
            path = rest.positional.removeFirst()
        }
        var test: String?
        if !rest.positional.isEmpty {
            guard case .text(let word) = rest.positional.removeFirst() else {
                throw TemplateError(.type, "\(name) takes a test's name")
            }
            guard TemplatePredicates.names.contains(word) else {
                throw TemplateError(.unsupported, "the test '\(word)' is not rendered here")
            }
            test = word
        }
        let wanted = name.hasPrefix("select")
        var kept: [TemplateValue] = []
        for item in items {
            let member = try member(path, of: item)
            let holds =
                try test.map { word throws(TemplateError) in
                    try TemplatePredicates.holds(word, member, rest)
                } ?? member.isTrue
            if holds == wanted { kept.append(item) }
        }
        return .list(kept)
    }

    private static func map(
        _ items: [TemplateValue],
        _ arguments: CallArguments
    ) throws(TemplateError) -> [TemplateValue] {
        var mapped: [TemplateValue] = []
        if arguments.positional.isEmpty {
            try arguments.require(["attribute", "default"], of: "map")
            guard let path = arguments.value(0, "attribute") else {
                throw TemplateError(.type, "map takes a filter's name, or attribute=")
            }
            let fallback = arguments.value(1, "default")
            for item in items { mapped.append(try member(path, of: item, orElse: fallback)) }
            return mapped
        }
        var rest = arguments
        guard case .text(let filter) = rest.positional.removeFirst() else {
            throw TemplateError(.type, "map takes a filter's name")
        }
        guard TemplateFilters.names.contains(filter) else {
            throw TemplateError(.unsupported, "the filter '\(filter)' is not rendered here")
        }
        for item in items { mapped.append(try TemplateFilters.apply(filter, to: item, rest)) }
        return mapped
    }

    /// A member by its path: `a`, `a.b`, a number; the item itself without one.
    ///
    /// `fallback`: What stands for each part that is not there.
    static func member(
        _ path: TemplateValue?,
        of item: TemplateValue,
        orElse fallback: TemplateValue? = nil
    ) throws(TemplateError) -> TemplateValue {
        func found(_ key: TemplateValue, of value: TemplateValue) -> TemplateValue {
            let found = element(key, of: value)
            if case .undefined = found, let fallback { return fallback }
            return found
        }
        switch path {
        case nil, .some(.none): return item
        case .integer(let index): return found(.integer(index), of: item)
        case .text(let path):
            var value = item
            for part in try TemplateText.split(path, by: ".", limit: nil) {
                if case .undefined(let what) = value {
                    throw TemplateError(
                        .undefined,
                        "\(what) is undefined, and its \(part) is asked for"
                    )
                }
                value = found(Int(part).map(TemplateValue.integer) ?? .text(part), of: value)
            }
            return value
        default: throw TemplateError(.type, "a member's name is a text")
        }
    }

    private static func element(_ key: TemplateValue, of value: TemplateValue) -> TemplateValue {
        switch (value, key) {
        case (.object(let members), .text(let name)): members[name] ?? .undefined(name)
        case (.namespace(let space), .text(let name)): space.members[name] ?? .undefined(name)
        case (.list(let items), .integer(let index)), (.tuple(let items), .integer(let index)):
            items.indices.contains(index) ? items[index] : .undefined("item \(index)")
        default: .undefined(TemplateText.string(key))
        }
    }

    static func key(
        _ path: TemplateValue?,
        of item: TemplateValue,
        _ isCaseSensitive: Bool
    ) throws(TemplateError) -> TemplateValue {
        let found = try member(path, of: item)
        guard !isCaseSensitive, case .text(let text) = found else { return found }
        return .text(text.lowercased())
    }

    /// Items in order, those that are equal as they stood.
    static func sorted(
        _ items: [TemplateValue],
        by path: TemplateValue?,
        isCaseSensitive: Bool,
        isReversed: Bool
    ) throws(TemplateError) -> [TemplateValue] {
        var paths = [path]
        if case .text(let text) = path {
            paths = try TemplateText.split(text, by: ",", limit: nil).map { .text($0) }
        }
        var keyed: [(offset: Int, keys: [TemplateValue], item: TemplateValue)] = []
        for (offset, item) in items.enumerated() {
            var keys: [TemplateValue] = []
            for path in paths { keys.append(try key(path, of: item, isCaseSensitive)) }
            keyed.append((offset, keys, item))
        }
        // `sort` rethrows untyped errors: the first is kept aside.
        var failure: TemplateError?
        keyed.sort { one, other in
            do throws(TemplateError) {
                let order = try TemplateArithmetic.compare(.list(one.keys), .list(other.keys))
                if order != 0 { return isReversed ? order > 0 : order < 0 }
            } catch {
                failure = failure ?? error
            }
            return one.offset < other.offset
        }
        if let failure { throw failure }
        return keyed.map(\.item)
    }

    static func unique(
        _ items: [TemplateValue],
        by path: TemplateValue?,
        isCaseSensitive: Bool
    ) throws(TemplateError) -> [TemplateValue] {
        var (kept, keys) = ([TemplateValue](), [TemplateValue]())
        for item in items {
            let key = try key(path, of: item, isCaseSensitive)
            guard !keys.contains(where: { TemplateValue.areEqual($0, key) }) else { continue }
            keys.append(key)
            kept.append(item)
        }
        return kept
    }
}
