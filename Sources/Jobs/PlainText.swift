/// Rules for text that one party writes and another one's terminal or disk gets to see.
public enum PlainText {
    /// Why a text is refused as a name, or nil.
    ///
    /// Refused are control and format characters (escape sequences, line breaks, reversed writing
    /// directions) and what is no character at all; the joiners that some scripts need are allowed.
    public static func fault(in text: String, byteLimit: Int) -> String? {
        guard text.utf8.count <= byteLimit else {
            return "has \(text.utf8.count) bytes; the limit is \(byteLimit)"
        }
        guard let scalar = text.unicodeScalars.first(where: { !isPrintable($0) }) else {
            return nil
        }
        let code = String(scalar.value, radix: 16, uppercase: true)
        let digits = String(repeating: "0", count: max(0, 4 - code.count)) + code
        return "holds U+\(digits), which does not print"
    }

    /// Why a text is refused as a relative path, or nil.
    ///
    /// A path has parts between single slashes, none of them `.` or `..`, and no backslash, which
    /// separates parts elsewhere.
    public static func pathFault(in text: String, byteLimit: Int) -> String? {
        if let fault = fault(in: text, byteLimit: byteLimit) {
            return fault
        }
        let parts = parts(ofPath: text)
        guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }),
            !text.utf8.contains(UInt8(ascii: "\\"))
        else {
            return "is not a plain relative path"
        }
        // What file systems take.
        guard parts.allSatisfy({ $0.utf8.count <= 255 }) else {
            return "has a part of more than 255 bytes"
        }
        return nil
    }

    /// What stands between the slashes of a path, as file systems see it: by bytes.
    ///
    /// Swift's characters are more than that: a slash and an accent behind it are one that is no slash.
    public static func parts(ofPath text: String) -> [Substring] {
        text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { Substring($0) }
    }

    /// A text cut to a number of bytes at a character's border, and what does not print shown as
    /// `\u{…}`; for sentences that quote others.
    public static func quoted(_ text: String, byteLimit: Int = 200) -> String {
        var result = ""
        for character in text {
            let shown = character.unicodeScalars.map { scalar in
                isPrintable(scalar)
                    ? String(scalar) : "\\u{" + String(scalar.value, radix: 16) + "}"
            }.joined()
            guard result.utf8.count + shown.utf8.count <= byteLimit else {
                return result + "…"
            }
            result += shown
        }
        return result
    }

    /// A text on one line: what does not print, or would be obeyed by a terminal, is written out as
    /// `\u{…}`; characters of later Unicode versions stay.
    public static func escaped(_ text: String) -> String { escaped(text, keeping: []) }

    /// The same, but for characters that stay as they are.
    public static func escaped(_ text: String, keeping kept: Set<Unicode.Scalar>) -> String {
        func isWritten(_ scalar: Unicode.Scalar) -> Bool {
            isObeyed(scalar) && !kept.contains(scalar)
        }
        guard text.unicodeScalars.contains(where: isWritten) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isWritten(scalar) {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A line of at most so many characters, whose middle is left out if it is longer: what is wrong stands
    /// at a message's beginning, what to do at its end.
    public static func bounded(_ line: String, limit: Int = 2_000) -> String {
        // Counting bytes first costs nothing for what is short anyway.
        guard line.utf8.count > limit, line.count > limit else { return line }
        return line.prefix(limit * 3 / 5) + " … (\(line.count - limit) characters left out) … "
            + line.suffix(limit * 2 / 5)
    }

    /// Whether a terminal obeys a scalar rather than shows it.
    public static func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
        // Most text is ASCII.
        if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7F }
        return switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        // Joiners shape letters of some scripts and emoji; other formats reverse what is written.
        case .format: scalar.value != 0x200C && scalar.value != 0x200D
        default: false
        }
    }

    /// A text cut to a number of bytes, an ellipsis at its end if something is missing.
    public static func cut(_ text: String, byteLimit: Int) -> String {
        guard text.utf8.count > byteLimit else { return text }
        var result = ""
        var count = 0
        for character in text {
            count += character.utf8.count
            guard count <= byteLimit - 3 else { break }
            result.append(character)
        }
        return result + "…"
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator: false
        // Joiners shape letters of Persian and Indic scripts and emoji.
        case .format: scalar.value == 0x200C || scalar.value == 0x200D
        default: true
        }
    }
}
