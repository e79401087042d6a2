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
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }), !text.contains("\\")
        else {
            return "is not a plain relative path"
        }
        return nil
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
