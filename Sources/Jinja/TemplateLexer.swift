/// A template cut into texts, tags and the words within tags.
struct TemplateToken {
    enum Kind: Equatable {
        /// Text outside of tags, whitespace control applied.
        case text(String)
        case outputStart, outputEnd, statementStart, statementEnd
        case name(String)
        case string(String)
        case integer(Int)
        case real(Double)
        case symbol(String)
        case end
    }

    let kind: Kind
    let line: Int
}

/// Cuts a template as Jinja does with `trim_blocks` and `lstrip_blocks`, which chat templates are written for.
struct TemplateLexer {
    private let source: [Unicode.Scalar]
    private var place = 0
    private var line = 1
    private var tokens: [TemplateToken] = []
    /// Whether text begins a line: at the template's start, and where a tag took the newline behind it.
    private var isLineStart = true
    /// Whether the last tag takes all white space behind it.
    private var stripsNext = false

    private static let symbols: [[Unicode.Scalar]] = [
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{",
        "}", "<", ">",
        "=", ".", ":", "|", ",",
    ].map { Array($0.unicodeScalars) }

    /// The tokens of a template.
    ///
    /// - Throws: ``TemplateError`` (`syntax`) with the line.
    static func tokens(of template: String) throws(TemplateError) -> [TemplateToken] {
        var lexer = TemplateLexer(template)
        try lexer.cut()
        return lexer.tokens
    }

    private init(_ template: String) {
        var scalars: [Unicode.Scalar] = []
        var last: Unicode.Scalar = " "
        for scalar in template.unicodeScalars {
            if scalar == "\n", last == "\r" {
                last = scalar
                continue
            }
            scalars.append(scalar == "\r" ? "\n" : scalar)
            last = scalar
        }
        // Jinja takes one newline off a template's end.
        if scalars.last == "\n" { scalars.removeLast() }
        source = scalars
    }

    private mutating func cut() throws(TemplateError) {
        while place < source.count {
            let start = nextTag()
            appendText(place..<start, isBeforeTag: start < source.count)
            guard start < source.count else { break }
            line += source[place..<start].count { $0 == "\n" }
            place = start + 2
            let kind = source[start + 1]
            let sign = place < source.count && "+-".unicodeScalars.contains(source[place])
            if sign { place += 1 }
            switch kind {
            case "#": try skipComment()
            case "{": try cutTag(from: .outputStart, to: .outputEnd, "}")
            default:
                if try !cutRaw() { try cutTag(from: .statementStart, to: .statementEnd, "%") }
            }
        }
        append(.end)
    }

    private mutating func append(_ kind: TemplateToken.Kind) {
        tokens.append(TemplateToken(kind: kind, line: line))
    }

    /// Where the next tag begins; the source's end where none does.
    private func nextTag() -> Int {
        var index = place
        while index + 1 < source.count {
            if source[index] == "{", "{%#".unicodeScalars.contains(source[index + 1]) {
                return index
            }
            index += 1
        }
        return source.count
    }

    /// Appends a text, without what the tags beside it take.
    private mutating func appendText(_ range: Range<Int>, isBeforeTag: Bool) {
        var (start, end) = (range.lowerBound, range.upperBound)
        if stripsNext {
            while start < end, source[start].properties.isWhitespace { start += 1 }
            if start > range.lowerBound { isLineStart = source[start - 1] == "\n" }
            stripsNext = false
        }
        if isBeforeTag {
            let sign = range.upperBound + 2 < source.count ? source[range.upperBound + 2] : " "
            if sign == "-" {
                while end > start, source[end - 1].properties.isWhitespace { end -= 1 }
            } else if sign != "+", source[range.upperBound + 1] != "{" {
                stripLine(from: start, &end)
            }
        }
        guard start < end else { return }
        tokens.append(
            TemplateToken(kind: .text(Self.string(source[start..<end])), line: line)
        )
    }

    /// Takes the white space before a tag that begins its line.
    private func stripLine(from start: Int, _ end: inout Int) {
        var lineStart = end
        while lineStart > start, source[lineStart - 1] != "\n" { lineStart -= 1 }
        guard lineStart > start || isLineStart else { return }
        if source[lineStart..<end].allSatisfy(\.properties.isWhitespace) { end = lineStart }
    }

    /// Goes beyond a tag's end: its sign, its bracket, and the newline that it takes.
    private mutating func passEnd(_ bracket: Unicode.Scalar, takesNewline: Bool) {
        let sign = source[place]
        if sign == "-" || sign == "+" { place += 1 }
        stripsNext = sign == "-"
        place += 2
        isLineStart = false
        if takesNewline, sign == bracket, place < source.count, source[place] == "\n" {
            place += 1
            line += 1
            isLineStart = true
        }
    }

    /// Whether a tag's end stands at a place, a sign before it or not.
    private func isEnd(_ bracket: Unicode.Scalar, at index: Int, orPlus: Bool) -> Bool {
        func ends(_ index: Int) -> Bool {
            index + 1 < source.count && source[index] == bracket && source[index + 1] == "}"
        }
        guard index < source.count else { return false }
        return ends(index)
            || (source[index] == "-" || orPlus && source[index] == "+") && ends(index + 1)
    }

    private mutating func skipComment() throws(TemplateError) {
        let start = line
        while place < source.count, !isEnd("#", at: place, orPlus: true) {
            if source[place] == "\n" { line += 1 }
            place += 1
        }
        guard place < source.count else {
            throw TemplateError(.syntax, "a comment that does not end", line: start)
        }
        passEnd("#", takesNewline: true)
    }

    /// Takes `{% raw %}…{% endraw %}` if it stands here.
    private mutating func cutRaw() throws(TemplateError) -> Bool {
        func word(_ text: String, at start: Int) -> Int? {
            var index = start
            while index < source.count, source[index].properties.isWhitespace { index += 1 }
            let word = Array(text.unicodeScalars)
            guard source[index...].starts(with: word) else { return nil }
            index += word.count
            while index < source.count, source[index].properties.isWhitespace { index += 1 }
            return isEnd("%", at: index, orPlus: true) ? index : nil
        }
        guard let end = word("raw", at: place) else { return false }
        line += source[place..<end].count { $0 == "\n" }
        place = end
        passEnd("%", takesNewline: false)
        var index = place
        while index + 1 < source.count {
            if source[index] == "{", source[index + 1] == "%" {
                var inner = index + 2
                if inner < source.count, "+-".unicodeScalars.contains(source[inner]) { inner += 1 }
                if let end = word("endraw", at: inner) {
                    appendText(place..<index, isBeforeTag: true)
                    line += source[place..<end].count { $0 == "\n" }
                    place = end
                    passEnd("%", takesNewline: true)
                    return true
                }
            }
            index += 1
        }
        throw TemplateError(.syntax, "{% raw %} without {% endraw %}", line: line)
    }

    /// Cuts the words of a tag up to its end.
    private mutating func cutTag(
        from start: TemplateToken.Kind,
        to end: TemplateToken.Kind,
        _ bracket: Unicode.Scalar
    ) throws(TemplateError) {
        let first = line
        append(start)
        var open: [Unicode.Scalar] = []
        while place < source.count {
            if open.isEmpty, isEnd(bracket, at: place, orPlus: bracket == "%") {
                append(end)
                passEnd(bracket, takesNewline: bracket == "%")
                return
            }
            try cutWord(&open)
        }
        throw TemplateError(.syntax, "a tag that does not end", line: first)
    }

    private mutating func cutWord(_ open: inout [Unicode.Scalar]) throws(TemplateError) {
        let scalar = source[place]
        if scalar.properties.isWhitespace {
            if scalar == "\n" { line += 1 }
            place += 1
        } else if scalar == "\"" || scalar == "'" {
            try cutString(scalar)
        } else if ("0"..."9").contains(scalar) {
            try cutNumber()
        } else if scalar == "_" || scalar.properties.isXIDStart {
            let start = place
            while place < source.count, source[place].properties.isXIDContinue { place += 1 }
            append(.name(Self.string(source[start..<place])))
        } else {
            try cutSymbol(&open)
        }
    }

    private mutating func cutSymbol(_ open: inout [Unicode.Scalar]) throws(TemplateError) {
        guard let symbol = Self.symbols.first(where: { source[place...].starts(with: $0) }) else {
            throw TemplateError(
                .syntax,
                "unexpected \(String(Character(source[place])).debugDescription)",
                line: line
            )
        }
        let scalar = symbol[0]
        switch scalar {
        case "(", "[", "{": open.append(scalar)
        case ")", "]", "}":
            let expected: Unicode.Scalar = scalar == ")" ? "(" : scalar == "]" ? "[" : "{"
            guard open.popLast() == expected else {
                throw TemplateError(.syntax, "unexpected '\(Character(scalar))'", line: line)
            }
        default: break
        }
        append(.symbol(Self.string(symbol[...])))
        place += symbol.count
    }

    private mutating func cutNumber() throws(TemplateError) {
        let start = place
        func digits(_ place: inout Int) {
            while place < source.count, ("0"..."9").contains(source[place]) || source[place] == "_"
            { place += 1 }
        }
        digits(&place)
        var isReal = false
        if place + 1 < source.count, source[place] == ".", ("0"..."9").contains(source[place + 1]) {
            isReal = true
            place += 1
            digits(&place)
        }
        if place < source.count, source[place] == "e" || source[place] == "E" {
            var next = place + 1
            if next < source.count, "+-".unicodeScalars.contains(source[next]) { next += 1 }
            if next < source.count, ("0"..."9").contains(source[next]) {
                isReal = true
                place = next
                digits(&place)
            }
        }
        let text = Self.string(source[start..<place].filter { $0 != "_" }[...])
        if isReal, let value = Double(text) {
            append(.real(value))
        } else if let value = Int(text) {
            append(.integer(value))
        } else {
            throw TemplateError(.syntax, "\(text) is no number that is read here", line: line)
        }
    }

    private mutating func cutString(_ quote: Unicode.Scalar) throws(TemplateError) {
        let first = line
        place += 1
        var text = String.UnicodeScalarView()
        while place < source.count, source[place] != quote {
            if source[place] == "\\" {
                place += 1
                guard place < source.count else { break }
                try cutEscape(into: &text)
            } else {
                if source[place] == "\n" { line += 1 }
                text.append(source[place])
                place += 1
            }
        }
        guard place < source.count else {
            throw TemplateError(.syntax, "a text that does not end", line: first)
        }
        place += 1
        append(.string(String(text)))
    }

    /// An escape as Python has it in its strings; unknown ones stay as they are.
    private mutating func cutEscape(into text: inout String.UnicodeScalarView) throws(TemplateError)
    {
        let plain: [Unicode.Scalar: Unicode.Scalar] = [
            "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{7}",
            "b": "\u{8}",
            "f": "\u{C}", "v": "\u{B}",
        ]
        let widths: [Unicode.Scalar: Int] = ["x": 2, "u": 4, "U": 8]
        let scalar = source[place]
        if let value = plain[scalar] {
            text.append(value)
            place += 1
        } else if let width = widths[scalar] {
            let digits = source[(place + 1)...].prefix(width)
            guard digits.count == width, let code = UInt32(Self.string(digits), radix: 16),
                let value = Unicode.Scalar(code)
            else {
                throw TemplateError(.syntax, "\\\(Character(scalar)) and no character", line: line)
            }
            text.append(value)
            place += 1 + width
        } else if ("0"..."7").contains(scalar) {
            let digits = source[place...].prefix(3).prefix { ("0"..."7").contains($0) }
            text.append(Unicode.Scalar(UInt32(Self.string(digits), radix: 8) ?? 0) ?? "\0")
            place += digits.count
        } else if scalar == "\n" {
            line += 1
            place += 1
        } else {
            text.append("\\")
            text.append(scalar)
            place += 1
        }
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
