/// Splits a text into the pieces that BPE merges within, by hand-written equivalents of the regular
/// expressions that the models' tokenizers use.
public enum PreTokenizer: String, Sendable {
    /// GPT-2's expression: contractions, words, numbers, symbols, white space.
    case gpt2 = "gpt-2"
    /// Every digit by itself, then GPT-2's expression.
    case smolLM = "smollm"
    /// Llama 3's: contractions of any case, numbers of up to three digits, line ends kept together.
    case llama3 = "llama-bpe"
    /// Qwen 2's: as Llama 3's with single digits.
    case qwen2 = "qwen2"

    /// Calls `body` with each piece's range of `scalars`, in order; together they tile the text.
    func forEachPiece(_ scalars: [Unicode.Scalar], _ body: (Range<Int>) -> Void) {
        switch self {
        case .gpt2: Self.gpt2(scalars, 0..<scalars.count, body)
        case .smolLM:
            // Digits split first; the expression runs within the stretches between them, so its
            // look-ahead does not see past a digit.
            var start = 0
            for index in scalars.indices where CharacterClass(scalars[index]) == .number {
                Self.gpt2(scalars, start..<index, body)
                Self.gpt2(scalars, index..<index + 1, body)
                start = index + 1
            }
            Self.gpt2(scalars, start..<scalars.count, body)
        case .llama3: Self.llama3(scalars, maximumDigits: 3, body)
        case .qwen2: Self.llama3(scalars, maximumDigits: 1, body)
        }
    }

    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    private static func gpt2(
        _ text: [Unicode.Scalar],
        _ range: Range<Int>,
        _ body: (Range<Int>) -> Void
    ) {
        let classes = { (index: Int) in CharacterClass(text[index]) }
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start
            if let length = contraction(text, start, range.upperBound, ignoringCase: false) {
                end = start + length
            } else {
                let hasSpace =
                    text[start] == " " && start + 1 < range.upperBound
                    && classes(start + 1) != .space
                let first = hasSpace ? start + 1 : start
                let kind = classes(first)
                end = first
                while end < range.upperBound && classes(end) == kind {
                    end += 1
                }
                if kind == .space {
                    end = whiteSpaceEnd(start, end, range.upperBound)
                }
            }
            body(start..<end)
            start = end
        }
    }

    // (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
    // |\s*[\r\n]+|\s+(?!\S)|\s+
    private static func llama3(
        _ text: [Unicode.Scalar],
        maximumDigits: Int,
        _ body: (Range<Int>) -> Void
    ) {
        var start = 0
        while start < text.count {
            let end =
                contraction(text, start, text.count, ignoringCase: true).map { start + $0 }
                ?? llama3Word(text, start)
                ?? run(text, start, of: .number, atMost: maximumDigits)
                ?? llama3Symbols(text, start)
                ?? llama3Space(text, start)
            body(start..<end)
            start = end
        }
    }

    private static func llama3Word(_ text: [Unicode.Scalar], _ start: Int) -> Int? {
        if let end = run(text, start, of: .letter, atMost: .max) {
            return end
        }
        let isPrefix =
            CharacterClass(text[start]) != .number && text[start] != "\r" && text[start] != "\n"
        return isPrefix && start + 1 < text.count
            ? run(text, start + 1, of: .letter, atMost: .max) : nil
    }

    private static func llama3Symbols(_ text: [Unicode.Scalar], _ start: Int) -> Int? {
        let first = text[start] == " " ? start + 1 : start
        guard first < text.count, var end = run(text, first, of: .symbol, atMost: .max) else {
            return nil
        }
        while end < text.count && (text[end] == "\r" || text[end] == "\n") {
            end += 1
        }
        return end
    }

    private static func llama3Space(_ text: [Unicode.Scalar], _ start: Int) -> Int {
        var end = start
        var lineEnd: Int?
        while end < text.count && CharacterClass(text[end]) == .space {
            end += 1
            if text[end - 1] == "\r" || text[end - 1] == "\n" {
                lineEnd = end
            }
        }
        return lineEnd ?? whiteSpaceEnd(start, end, text.count)
    }

    /// `\s+(?!\S)|\s+`: white space before a word leaves its last character to the word.
    private static func whiteSpaceEnd(_ start: Int, _ end: Int, _ limit: Int) -> Int {
        end < limit && end - start > 1 ? end - 1 : end
    }

    private static func run(
        _ text: [Unicode.Scalar],
        _ start: Int,
        of kind: CharacterClass,
        atMost limit: Int
    ) -> Int? {
        var end = start
        while end < text.count && end - start < limit && CharacterClass(text[end]) == kind {
            end += 1
        }
        return end > start ? end : nil
    }

    private static func contraction(
        _ text: [Unicode.Scalar],
        _ start: Int,
        _ limit: Int,
        ignoringCase: Bool
    ) -> Int? {
        guard text[start] == "'", start + 1 < limit else {
            return nil
        }
        func letter(_ index: Int) -> Unicode.Scalar? {
            guard index < limit else {
                return nil
            }
            guard ignoringCase else {
                return text[index]
            }
            // Case folding maps the long s to s; the Kelvin sign and the like fold to none of these.
            return text[index] == "\u{17F}"
                ? "s"
                : text[index].properties.lowercaseMapping
                    .unicodeScalars.first
        }
        switch (letter(start + 1), letter(start + 2)) {
        case ("s", _), ("t", _), ("m", _), ("d", _): return 2
        case ("r", "e"), ("v", "e"), ("l", "l"): return 3
        default: return nil
        }
    }
}

/// The classes that the expressions tell apart: `\p{L}`, `\p{N}`, `\s` and the rest.
enum CharacterClass {
    case letter, number, space, symbol

    init(_ scalar: Unicode.Scalar) {
        if scalar.value < 128 {
            self = Self.ascii[Int(scalar.value)]
            return
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            self = .letter
        case .decimalNumber, .letterNumber, .otherNumber:
            self = .number
        default:
            self = scalar.properties.isWhitespace ? .space : .symbol
        }
    }

    private static let ascii: [CharacterClass] = (UInt8(0)..<128).map { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): .letter
        case UInt8(ascii: "0")...UInt8(ascii: "9"): .number
        case 9...13, 32: .space
        default: .symbol
        }
    }
}
