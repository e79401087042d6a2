internal import JobSpecs
internal import Jobs

/// Text for terminals: nothing in it is obeyed, whoever wrote it, and none of it is endless.
enum TerminalText {
    /// A text on one line: what a terminal would obey rather than show is written out, as `\u{1b}`.
    ///
    /// Names, sources and messages are written by others.
    static func line(_ text: String) -> String { PlainText.escaped(text) }

    /// The same of several lines.
    static func lines(_ text: String) -> String { PlainText.escaped(text, keeping: ["\n"]) }

    /// The same of a log, whose tabs stay.
    static func log(_ text: String) -> String { PlainText.escaped(text, keeping: ["\n", "\t"]) }

    /// A value as JSON that a terminal only shows: the canonical form escapes C0 alone.
    static func json(_ value: JSONValue) -> String {
        let text = value.canonicalText
        guard text.unicodeScalars.contains(where: PlainText.isObeyed) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            guard PlainText.isObeyed(scalar) else {
                result.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return result
    }

    /// What somebody wrote, short enough to be read within a sentence.
    static func short(_ text: String) -> String {
        let limit = 100
        guard text.utf8.count > limit, text.count > limit else { return line(text) }
        return line(String(text.prefix(limit))) + "…"
    }

    /// The same in quotes.
    static func quoted(_ text: String) -> String { "\"\(short(text))\"" }
}
