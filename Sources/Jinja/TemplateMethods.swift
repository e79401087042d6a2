internal import OrderedCollections

/// Methods of texts, lists and dictionaries that change nothing: others a template may not call, as in
/// Jinja's `ImmutableSandboxedEnvironment`.
enum TemplateMethods {
    typealias Body = (CallArguments) throws(TemplateError) -> TemplateValue

    static func method(_ name: String, of value: TemplateValue) -> TemplateFunction? {
        let body: Body? =
            switch value {
            case .text(let text): self.text(name, text)
            case .object(let members): object(name, members)
            case .list(let items): list(name, items, isTuple: false)
            case .tuple(let items): list(name, items, isTuple: true)
            default: nil
            }
        return body.map { TemplateFunction(name, call: $0) }
    }

    /// What is iterated: a list's items, a dictionary's keys, a text's characters.
    static func elements(of value: TemplateValue, in what: String) throws(TemplateError)
        -> [TemplateValue]
    {
        switch value {
        case .list(let items), .tuple(let items): return items
        case .object(let members): return members.keys.map(TemplateValue.text)
        case .text(let text):
            try TemplateLimits.require(items: text.unicodeScalars.count)
            return text.unicodeScalars.map { .text(String(Character($0))) }
        case .undefined: return []
        default: throw TemplateError(.type, "\(what): \(value.kind) has no items")
        }
    }

    // MARK: Texts

    private static func text(_ name: String, _ text: String) -> Body? {
        switch name {
        case "strip", "lstrip", "rstrip":
            { arguments throws(TemplateError) in
                try arguments.require(["chars"], of: name)
                return .text(
                    TemplateText.strip(
                        text,
                        try arguments.text(0, "chars", of: name),
                        left: name != "rstrip",
                        right: name != "lstrip"
                    )
                )
            }
        case "upper": plain(name, .text(text.uppercased()))
        case "lower": plain(name, .text(text.lowercased()))
        case "capitalize": plain(name, .text(TemplateText.capitalized(text)))
        case "title": plain(name, .text(title(text)))
        case "isdigit":
            plain(
                name,
                .flag(
                    all(text) {
                        $0.properties.numericType == .digit || $0.properties.numericType == .decimal
                    }
                )
            )
        case "isdecimal": plain(name, .flag(all(text) { $0.properties.numericType == .decimal }))
        case "isnumeric": plain(name, .flag(all(text) { $0.properties.numericType != nil }))
        case "isalpha": plain(name, .flag(all(text, isLetter)))
        case "isalnum":
            plain(name, .flag(all(text) { isLetter($0) || $0.properties.numericType != nil }))
        case "isspace": plain(name, .flag(all(text, TemplateText.isSpace)))
        case "isupper": plain(name, .flag(text == text.uppercased() && text != text.lowercased()))
        case "islower": plain(name, .flag(text == text.lowercased() && text != text.uppercased()))
        case "startswith", "endswith":
            { arguments throws(TemplateError) in
                try arguments.require(["prefix"], of: name)
                return .flag(try hasAffix(text, arguments.value(0, "prefix"), name))
            }
        case "removeprefix", "removesuffix":
            { arguments throws(TemplateError) in
                try arguments.require(["prefix"], of: name)
                guard let affix = try arguments.text(0, "prefix", of: name) else {
                    throw missing("prefix", name)
                }
                guard
                    try hasAffix(
                        text,
                        .text(affix),
                        name == "removeprefix" ? "startswith" : "endswith"
                    )
                else {
                    return .text(text)
                }
                let count = affix.unicodeScalars.count
                let scalars = text.unicodeScalars
                return .text(
                    String(
                        name == "removeprefix" ? scalars.dropFirst(count) : scalars.dropLast(count)
                    )
                )
            }
        default: search(name, text) ?? pieces(name, text)
        }
    }

    private static func search(_ name: String, _ text: String) -> Body? {
        guard ["find", "rfind", "index", "count", "replace"].contains(name) else { return nil }
        return { arguments throws(TemplateError) in
            try arguments.require(name == "replace" ? ["old", "new", "count"] : ["sub"], of: name)
            guard let part = try arguments.text(0, name == "replace" ? "old" : "sub", of: name)
            else {
                throw missing("a text", name)
            }
            switch name {
            case "replace":
                guard let new = try arguments.text(1, "new", of: name) else {
                    throw missing("new", name)
                }
                let count = try arguments.integer(2, "count", of: name)
                return .text(
                    try TemplateText.replace(
                        text,
                        part,
                        new,
                        count: (count ?? -1) < 0 ? nil : count
                    )
                )
            case "count":
                guard !part.isEmpty else { return .integer(text.unicodeScalars.count + 1) }
                return .integer(try TemplateText.split(text, by: part, limit: nil).count - 1)
            default:
                var found = TemplateText.find(part, in: text)
                while name == "rfind", let last = found,
                    let next = TemplateText.find(
                        part,
                        in: text,
                        from: text.unicodeScalars.index(after: last.lowerBound)
                    )
                {
                    found = next
                }
                guard let found else {
                    guard name != "index" else { throw TemplateError(.type, "index: not found") }
                    return .integer(-1)
                }
                return .integer(
                    text.unicodeScalars.distance(from: text.startIndex, to: found.lowerBound)
                )
            }
        }
    }

    private static func pieces(_ name: String, _ text: String) -> Body? {
        switch name {
        case "split", "rsplit":
            { arguments throws(TemplateError) in
                try arguments.require(["sep", "maxsplit"], of: name)
                let limit = try arguments.integer(1, "maxsplit", of: name) ?? -1
                let count = limit < 0 ? nil : limit
                let separator = try arguments.text(0, "sep", of: name)
                guard separator != "" else {
                    throw TemplateError(.type, "\(name): an empty separator")
                }
                if name == "rsplit", count != nil {
                    throw TemplateError(.unsupported, "rsplit with maxsplit is not rendered here")
                }
                let pieces =
                    if let separator {
                        try TemplateText.split(text, by: separator, limit: count)
                    } else {
                        try TemplateText.words(text, limit: count)
                    }
                return .list(pieces.map(TemplateValue.text))
            }
        case "splitlines":
            { arguments throws(TemplateError) in
                try arguments.require(["keepends"], of: name)
                let keepsEnds = arguments.flag(0, "keepends", default: false)
                return .list(
                    try TemplateText.lines(text, keepingEnds: keepsEnds).map(TemplateValue.text)
                )
            }
        case "join":
            { arguments throws(TemplateError) in
                try arguments.require(["iterable"], of: name)
                var pieces: [String] = []
                for item in try elements(of: arguments.value(0, "iterable") ?? .none, in: "join") {
                    guard case .text(let piece) = item else {
                        throw TemplateError(.type, "join: an item is no text but \(item.kind)")
                    }
                    pieces.append(piece)
                }
                return .text(try TemplateText.joined(pieces, text))
            }
        default: nil
        }
    }

    private static func hasAffix(
        _ text: String,
        _ affix: TemplateValue?,
        _ name: String
    ) throws(TemplateError) -> Bool {
        switch affix {
        case .text(let affix):
            let (scalars, wanted) = (text.unicodeScalars, affix.unicodeScalars)
            return name == "startswith"
                ? scalars.starts(with: wanted) : scalars.reversed().starts(with: wanted.reversed())
        case .tuple(let all):
            for one in all where try hasAffix(text, one, name) { return true }
            return false
        default: throw TemplateError(.type, "\(name) takes a text")
        }
    }

    /// `str.title`: letters behind what is no letter are capitals.
    private static func title(_ text: String) -> String {
        var (result, isInWord) = ("", false)
        for scalar in text.unicodeScalars {
            let isCased = scalar.properties.isCased
            result +=
                isCased
                ? (isInWord
                    ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping)
                : String(Character(scalar))
            isInWord = isCased
        }
        return result
    }

    private static func all(_ text: String, _ holds: (Unicode.Scalar) -> Bool) -> Bool {
        !text.isEmpty && text.unicodeScalars.allSatisfy(holds)
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            true
        default: false
        }
    }

    // MARK: Dictionaries and lists

    private static func object(
        _ name: String,
        _ members: OrderedDictionary<String, TemplateValue>
    ) -> Body? {
        switch name {
        case "items": plain(name, .list(members.map { .tuple([.text($0), $1]) }))
        case "keys": plain(name, .list(members.keys.map(TemplateValue.text)))
        case "values": plain(name, .list(Array(members.values)))
        case "copy": plain(name, .object(members))
        case "get":
            { arguments throws(TemplateError) in
                try arguments.require(["key", "default"], of: name)
                guard case .text(let key) = arguments.value(0, "key") else {
                    return arguments.value(1, "default") ?? .none
                }
                return members[key] ?? arguments.value(1, "default") ?? .none
            }
        default: nil
        }
    }

    private static func list(_ name: String, _ items: [TemplateValue], isTuple: Bool) -> Body? {
        switch name {
        case "copy" where !isTuple: plain(name, .list(items))
        case "index", "count":
            { arguments throws(TemplateError) in
                try arguments.require(["value"], of: name)
                guard let wanted = arguments.value(0, "value") else { throw missing("value", name) }
                if name == "count" {
                    return .integer(items.count { TemplateValue.areEqual($0, wanted) })
                }
                guard let place = items.firstIndex(where: { TemplateValue.areEqual($0, wanted) })
                else {
                    throw TemplateError(.type, "index: not found")
                }
                return .integer(place)
            }
        default: nil
        }
    }

    private static func plain(_ name: String, _ value: @autoclosure @escaping () -> TemplateValue)
        -> Body
    {
        { arguments throws(TemplateError) in
            try arguments.require([], of: name)
            return value()
        }
    }

    private static func missing(_ what: String, _ name: String) -> TemplateError {
        TemplateError(.type, "\(name) takes \(what)")
    }
}
