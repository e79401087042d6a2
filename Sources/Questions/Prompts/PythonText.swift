/// What Python's text methods do, on which published prompts depend: on code points, not characters.
extension String {
    /// `str.strip()`.
    var pythonStripped: String {
        let scalars = Array(unicodeScalars)
        guard let first = scalars.firstIndex(where: { !$0.isPythonSpace }),
            let last = scalars.lastIndex(where: { !$0.isPythonSpace })
        else { return "" }
        return String(scalars[first...last])
    }

    /// What `str.rstrip()` takes away.
    var pythonTrailingSpace: String {
        String(Array(Array(unicodeScalars).reversed().prefix(while: \.isPythonSpace).reversed()))
    }

    /// `str.capitalize()`: the first code point in title case, the others in lower case.
    var pythonCapitalized: String {
        let scalars = Array(unicodeScalars)
        guard let first = scalars.first else { return "" }
        var text = first.properties.titlecaseMapping
        for index in 1..<max(scalars.count, 1) {
            text +=
                scalars[index] == "\u{3A3}"
                ? (Self.isFinal(index, scalars) ? "\u{3C2}" : "\u{3C3}")
                : scalars[index].properties.lowercaseMapping
        }
        return text
    }

    /// Whether a sigma ends a word: a cased letter is before it, none behind it, by the Unicode Standard,
    /// section 3.13.
    private static func isFinal(_ index: Int, _ scalars: [Unicode.Scalar]) -> Bool {
        func isCased(_ neighbours: some Sequence<Unicode.Scalar>) -> Bool {
            neighbours.first { !$0.properties.isCaseIgnorable }?.properties.isCased ?? false
        }
        return isCased(scalars[..<index].reversed()) && !isCased(scalars[(index + 1)...])
    }

    /// `len(str)`.
    var pythonLength: Int { unicodeScalars.count }

    /// `str.replace(old, new)`; `old` is not empty.
    func pythonReplacing(_ old: String, by new: String) -> String {
        let scalars = Array(unicodeScalars)
        let wanted = Array(old.unicodeScalars)
        var text = String.UnicodeScalarView()
        var place = 0
        while place < scalars.count {
            if scalars[place...].starts(with: wanted) {
                text.append(contentsOf: new.unicodeScalars)
                place += wanted.count
            } else {
                text.append(scalars[place])
                place += 1
            }
        }
        return String(text)
    }

    init(_ scalars: some Sequence<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }
}

extension Unicode.Scalar {
    /// `str.isspace()` of one code point: white space, and the information separators.
    var isPythonSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }
}
