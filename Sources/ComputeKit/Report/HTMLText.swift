/// Text made safe for HTML that is also well-formed XML.
enum HTMLText {
    /// `text` as element content or as a value between double quotes.
    ///
    /// Markup characters become entities. What XML 1.0 does not allow even escaped (control
    /// characters, U+FFFE and U+FFFF) becomes U+FFFD, and so do marks that reorder text, since a
    /// name from a file must not change how its neighbours read.
    static func escaped(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\t", "\n", "\r": result += " "
            default: result.unicodeScalars.append(isShown(scalar) ? scalar : "\u{FFFD}")
            }
        }
        return result
    }

    /// `text` as element content that may break after its dots, as long module names need.
    static func breakable(_ text: String) -> String {
        text.split(separator: ".", omittingEmptySubsequences: false)
            .map { escaped(String($0)) }
            .joined(separator: ".<wbr/>")
    }

    /// `text` with its middle left out if it has more than `limit` characters.
    static func shortened(_ text: String, to limit: Int) -> String {
        guard text.count > limit, limit > 4 else {
            return text
        }
        let head = (limit - 1) / 2
        return "\(text.prefix(head))…\(text.suffix(limit - 1 - head))"
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0xFFFE...0xFFFF: false
        case 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: false
        default: true
        }
    }
}
