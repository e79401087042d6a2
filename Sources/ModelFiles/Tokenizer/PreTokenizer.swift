/// How a text is split into the pieces that BPE merges within: steps, one after another, as
/// tokenizer.json's `pre_tokenizer` lists them.
public struct PreTokenizer: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        /// Bytes become characters; the last step. GPT-2's expression splits before, if asked for.
        case byteLevel(addsPrefixSpace: Bool, usesExpression: Bool)
        case split(SplitExpression, PieceList.Behavior, isInverted: Bool)
        case digits(individual: Bool)
        case punctuation(PieceList.Behavior)
        /// A visible stand-in for the space, which pieces begin with if they are split.
        case metaspace(Unicode.Scalar, PrependScheme, splits: Bool)
        /// Words and runs of symbols; white space is dropped.
        case whitespace
        /// White space is dropped.
        case whitespaceSplit
        /// A delimiter is dropped.
        case delimiter(Unicode.Scalar)
    }

    /// Before which pieces the stand-in for the space is put.
    enum PrependScheme: String, Sendable {
        case always, first, never
    }

    let steps: [Step]

    /// GPT-2's expression: contractions, words, numbers, symbols, white space.
    public static let gpt2 = PreTokenizer(steps: [
        .byteLevel(addsPrefixSpace: false, usesExpression: true)
    ])
    /// The whole text is one piece of characters, not bytes.
    static let none = PreTokenizer(steps: [])

    /// Whether tokens are made of bytes rather than of characters.
    var isByteLevel: Bool {
        if case .byteLevel = steps.last { true } else { false }
    }

    func split(_ list: inout PieceList) {
        for step in steps { Self.apply(step, &list) }
    }

    private static func apply(_ step: Step, _ list: inout PieceList) {
        switch step {
        case .byteLevel(let addsPrefixSpace, let usesExpression):
            if addsPrefixSpace {
                list.prepend(" ") { first, _ in first != " " }
            }
            if usesExpression { list.split(at: KnownExpressions.gpt2, .isolated) }
        case .split(let expression, let behavior, let isInverted):
            list.split(at: expression, behavior, isInverted: isInverted)
        case .digits(let individual):
            list.split(individual ? .isolated : .contiguous, at: isNumeric)
        case .punctuation(let behavior):
            list.split(behavior, at: isPunctuation)
        case .metaspace(let replacement, let scheme, let splits):
            for piece in list.pieces {
                for index in piece where list.scalars[index] == " " {
                    list.scalars[index] = replacement
                }
            }
            if scheme != .never {
                list.prepend(replacement) { first, beginsInput in
                    first != replacement && (scheme == .always || beginsInput)
                }
            }
            if splits { list.split(.mergedWithNext) { $0 == replacement } }
        case .whitespace:
            list.split(at: KnownExpressions.words, .removed, isInverted: true)
        case .whitespaceSplit:
            list.split(.removed) { $0.properties.isWhitespace }
        case .delimiter(let delimiter):
            list.split(.removed) { $0 == delimiter }
        }
    }

    /// A number by the newest Unicode, as the library's digits go by its language's own table.
    private static func isNumeric(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return ("0"..."9").contains(scalar) }
        return switch scalar.properties.generalCategory {
        case .decimalNumber, .letterNumber, .otherNumber: true
        default: false
        }
    }

    /// ASCII's symbols, and punctuation as of Unicode 8, whose table the library uses.
    private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return switch scalar.value {
            case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
            default: false
            }
        }
        // Two that later versions moved to other categories.
        if scalar.value == 0x166D || scalar.value == 0x111C9 { return true }
        guard let age = scalar.properties.age, age.major <= 8 else { return false }
        return switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation, .finalPunctuation, .otherPunctuation:
            true
        default: false
        }
    }
}
