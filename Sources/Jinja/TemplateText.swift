internal import OrderedCollections

/// Values as texts, and texts as Python's `str` treats them: by Unicode scalars.
enum TemplateText {
    /// What `{{ value }}` prints.
    static func string(_ value: TemplateValue) -> String {
        switch value {
        case .undefined: ""
        case .text(let text): text
        default: representation(value)
        }
    }

    /// What a value looks like within a list.
    static func representation(_ value: TemplateValue) -> String {
        switch value {
        case .undefined: "Undefined"
        case .none: "None"
        case .flag(let value): value ? "True" : "False"
        case .integer(let value): String(value)
        case .real(let value): number(value)
        case .text(let text): quoted(text)
        case .list(let items): "[" + items.map(representation).joined(separator: ", ") + "]"
        case .tuple(let items):
            items.count == 1
                ? "(" + representation(items[0]) + ",)"
                : "(" + items.map(representation).joined(separator: ", ") + ")"
        case .object(let members):
            "{" + members.map { quoted($0) + ": " + representation($1) }.joined(separator: ", ")
                + "}"
        case .namespace(let space): "<Namespace " + representation(.object(space.members)) + ">"
        case .loop(let state): "<LoopContext \(state.index + 1)/\(state.items.count)>"
        case .function(let function): "<function \(function.name)>"
        }
    }

    /// A number as Python writes it: with an exponent below 1e-4 and from 1e16 on.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        let size = value.magnitude
        let text = "\(value)"
        guard size >= 1e15, size < 1e16, text.contains("e") else { return text }
        return "\(Int(value)).0"
    }

    private static func quoted(_ text: String) -> String {
        let quote: Unicode.Scalar = text.contains("'") && !text.contains("\"") ? "\"" : "'"
        var result = String.UnicodeScalarView([quote])
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\": result.append(contentsOf: ["\\", scalar])
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            default:
                if isPrintable(scalar) {
                    result.append(scalar)
                } else {
                    let (code, width) =
                        scalar.value < 0x100
                        ? ("\\x", 2) : scalar.value < 0x10000 ? ("\\u", 4) : ("\\U", 8)
                    result.append(
                        contentsOf: (code + hexadecimal(scalar.value, width)).unicodeScalars
                    )
                }
            }
        }
        result.append(quote)
        return String(result)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == " " { return true }
        return switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
            .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }

    static func hexadecimal(_ value: UInt32, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Whether `str.isspace` holds for a character.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || ("\u{1C}"..."\u{1F}").contains(scalar)
    }

    /// A text without the characters at its ends that are in `characters`, or white space.
    static func strip(_ text: String, _ characters: String?, left: Bool = true, right: Bool = true)
        -> String
    {
        let set = characters.map { Set($0.unicodeScalars) }
        func goes(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? isSpace(scalar) }
        var rest = text.unicodeScalars[...]
        if left { rest = rest.drop(while: goes) }
        if right { while let last = rest.last, goes(last) { rest.removeLast() } }
        return String(rest)
    }

    /// Where a text first has a part; nil if it does not.
    static func find(
        _ part: String,
        in text: String,
        from start: String.Index? = nil
    ) -> Range<String.Index>? {
        let (bytes, wanted) = (text.utf8, Array(part.utf8))
        var index = start ?? text.startIndex
        guard let first = wanted.first else { return index..<index }
        while let place = bytes[index...].firstIndex(of: first) {
            var (at, count) = (place, 0)
            while count < wanted.count, at < bytes.endIndex, bytes[at] == wanted[count] {
                at = bytes.index(after: at)
                count += 1
            }
            if count == wanted.count { return place..<at }
            index = bytes.index(after: place)
        }
        return nil
    }

    /// A text cut at each separator, at most `limit` times; nil for no limit.
    static func split(
        _ text: String,
        by separator: String,
        limit: Int?
    ) throws(TemplateError) -> [String] {
        var pieces: [String] = []
        var start = text.startIndex
        while pieces.count < limit ?? .max, let found = find(separator, in: text, from: start) {
            pieces.append(String(text[start..<found.lowerBound]))
            start = found.upperBound
            try TemplateLimits.require(items: pieces.count)
        }
        pieces.append(String(text[start...]))
        return pieces
    }

    /// A text cut at white space, which it begins and ends without.
    static func words(_ text: String, limit: Int?) throws(TemplateError) -> [String] {
        var pieces: [String] = []
        var rest = text.unicodeScalars[...].drop(while: isSpace)
        while !rest.isEmpty {
            if pieces.count == limit {
                pieces.append(String(rest))
                break
            }
            let word = rest.prefix { !isSpace($0) }
            pieces.append(String(word))
            try TemplateLimits.require(items: pieces.count)
            rest = rest[word.endIndex...].drop(while: isSpace)
        }
        return pieces
    }

    /// The lines of a text, without their ends.
    static func lines(_ text: String, keepingEnds: Bool) throws(TemplateError) -> [String] {
        let ends: Set<Unicode.Scalar> = [
            "\n", "\r", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}", "\u{85}", "\u{2028}",
            "\u{2029}",
        ]
        var (lines, line) = ([String](), String.UnicodeScalarView())
        var last: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            if scalar == "\n", last == "\r" {
                if keepingEnds, !lines.isEmpty {
                    lines[lines.count - 1].unicodeScalars.append(scalar)
                }
            } else if ends.contains(scalar) {
                if keepingEnds { line.append(scalar) }
                lines.append(String(line))
                try TemplateLimits.require(items: lines.count)
                line = String.UnicodeScalarView()
            } else {
                line.append(scalar)
            }
            last = scalar
        }
        if !line.isEmpty { lines.append(String(line)) }
        return lines
    }

    static func replace(
        _ text: String,
        _ old: String,
        _ new: String,
        count: Int?
    ) throws(TemplateError) -> String {
        guard !old.isEmpty else {
            // Python puts the new text before each character, and behind the last.
            let places = min(text.unicodeScalars.count + 1, count ?? .max)
            try TemplateLimits.require(bytes: new.utf8.count, times: places, and: text.utf8.count)
            var (result, left) = ("", places)
            for scalar in text.unicodeScalars {
                if left > 0 {
                    result += new
                    left -= 1
                }
                result.unicodeScalars.append(scalar)
            }
            return left > 0 ? result + new : result
        }
        let pieces = try split(text, by: old, limit: count)
        try TemplateLimits.require(bytes: new.utf8.count, times: pieces.count, and: text.utf8.count)
        return pieces.joined(separator: new)
    }

    /// Texts one after the other with a separator between them.
    static func joined(_ pieces: [String], _ separator: String) throws(TemplateError) -> String {
        let size = pieces.reduce(0) { $0 + $1.utf8.count }
        try TemplateLimits.require(bytes: separator.utf8.count, times: pieces.count, and: size)
        return pieces.joined(separator: separator)
    }

    static func capitalized(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return "" }
        let rest = String(text.unicodeScalars.dropFirst())
        return first.properties.titlecaseMapping + rest.lowercased()
    }
}
