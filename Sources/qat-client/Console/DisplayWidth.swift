/// How many columns of a terminal text takes; text cut, filled and made safe for one.
enum DisplayWidth {
    /// The columns a text takes: two for East Asian wide characters and emoji, none for marks that
    /// stand on the character before.
    static func columns(_ text: String) -> Int {
        text.reduce(0) { $0 + columns($1) }
    }

    /// The columns of a character; a sequence of joined emoji is one.
    private static func columns(_ character: Character) -> Int {
        // Most text is ASCII.
        if let ascii = character.asciiValue {
            return ascii < 0x20 || ascii == 0x7F ? 0 : 1
        }
        let scalars = character.unicodeScalars
        // Emoji that are joined, toned or paired are one picture, and a variation selector asks for one.
        if scalars.count > 1,
            scalars.first?.properties.isEmojiPresentation ?? false || scalars.contains("\u{FE0F}")
        {
            return 2
        }
        return scalars.reduce(0) { $0 + columns($1) }
    }

    private static func columns(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .control, .format: return 0
        default: break
        }
        // Vowels and final consonants of Hangul stand within the syllable's first letter.
        if (0x1160...0x11FF).contains(scalar.value) {
            return 0
        }
        if scalar.properties.isEmojiPresentation {
            return 2
        }
        return isWide(scalar.value) ? 2 : 1
    }

    /// Whether a scalar is East Asian Wide or Fullwidth.
    ///
    /// - SeeAlso: Unicode Standard Annex #11; EastAsianWidth.txt, joined to its blocks.
    private static func isWide(_ value: UInt32) -> Bool {
        switch value {
        case ..<0x1100: false
        case 0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0xA4CF,
            0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF,
            0x1AFF0...0x1B2FF, 0x1F200...0x1F265, 0x20000...0x2FFFD, 0x30000...0x3FFFD:
            // The hexagrams and one half-wide letter lie between.
            !(0x4DC0...0x4DFF).contains(value) && value != 0x303F
        default: false
        }
    }

    /// A text in at most so many columns; an ellipsis stands for what is cut off.
    static func cut(_ text: String, to limit: Int) -> String {
        guard columns(text) > limit else {
            return text
        }
        guard limit > 0 else {
            return ""
        }
        var kept = ""
        var width = 0
        for character in text {
            width += columns(character)
            guard width < limit else {
                break
            }
            kept.append(character)
        }
        return kept + "…"
    }

    /// A text filled with spaces to so many columns.
    static func padded(_ text: String, to width: Int, atStart: Bool = false) -> String {
        let spaces = String(repeating: " ", count: max(0, width - columns(text)))
        return atStart ? spaces + text : text + spaces
    }

    /// A text on one line, see ``TerminalText/line(_:)``.
    static func printable(_ text: String) -> String { TerminalText.line(text) }
}
