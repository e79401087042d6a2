/// A set of Unicode scalars out of general categories and ranges, as a class of an expression.
struct ScalarSet: Sendable, Equatable {
    /// A bit for each general category, by ``ScalarCategory``'s raw value.
    private(set) var categories: UInt32 = 0
    private(set) var ranges: [ClosedRange<UInt32>] = []
    /// Sets of which all that is not in them belongs to this one.
    private var complements: [ScalarSet] = []
    private var isInverted = false
    /// The first 128 scalars, decided once.
    private(set) var asciiLow: UInt64 = 0
    private(set) var asciiHigh: UInt64 = 0

    init() {}

    init(categories: ScalarCategory..., ranges: [ClosedRange<UInt32>] = []) {
        for category in categories { self.categories |= 1 << UInt32(category.rawValue) }
        self.ranges = ranges
        decideASCII()
    }

    /// Letters, numbers, marks, …: all categories whose names begin with a letter, or one of them.
    init?(property name: String) {
        let matching = ScalarCategory.allCases.filter {
            name.utf8.count == 1 ? $0.name.first == name.first : $0.name == name
        }
        guard !matching.isEmpty else { return nil }
        for category in matching { categories |= 1 << UInt32(category.rawValue) }
        decideASCII()
    }

    /// `\s`: Unicode's White_Space.
    static let whiteSpace = ScalarSet(
        categories: .spaceSeparator,
        .lineSeparator,
        .paragraphSeparator,
        ranges: [0x09...0x0D, 0x20...0x20, 0x85...0x85]
    )
    /// `\d`.
    static let decimalDigit = ScalarSet(categories: .decimalNumber)
    /// `\w`: Alphabetic, marks, decimal digits, connectors.
    ///
    /// Alphabetic beyond these categories are
    /// the circled and squared letters.
    static let word = ScalarSet(
        categories: .uppercaseLetter,
        .lowercaseLetter,
        .titlecaseLetter,
        .modifierLetter,
        .otherLetter,
        .nonspacingMark,
        .spacingMark,
        .enclosingMark,
        .decimalNumber,
        .letterNumber,
        .connectorPunctuation,
        ranges: [0x24B6...0x24E9, 0x1F130...0x1F149, 0x1F150...0x1F169, 0x1F170...0x1F189]
    )
    /// `\w` as the library's own expressions have it: with the zero-width joiners.
    static let joinedWord: ScalarSet = {
        var set = word
        set.formUnion(0x200C...0x200D)
        return set
    }()
    /// `\w` as Oniguruma has it outside of brackets: with Latin-1's superscript digits and fractions.
    static let expressionWord: ScalarSet = {
        var set = word
        set.formUnion(0xB2...0xB3)
        set.formUnion(0xB9...0xB9)
        set.formUnion(0xBC...0xBE)
        return set
    }()
    /// `.`: all but the line end.
    static let anyButLineEnd = ScalarSet(ranges: [0x0A...0x0A]).inverted

    static func scalar(_ scalar: Unicode.Scalar) -> ScalarSet {
        ScalarSet(ranges: [scalar.value...scalar.value])
    }

    private init(ranges: [ClosedRange<UInt32>]) {
        self.ranges = ranges
        decideASCII()
    }

    /// All scalars that are not in the set.
    var inverted: ScalarSet {
        var copy = self
        copy.isInverted.toggle()
        copy.decideASCII()
        return copy
    }

    mutating func formUnion(_ range: ClosedRange<UInt32>) {
        ranges.append(range)
        decideASCII()
    }

    mutating func formUnion(_ other: ScalarSet) {
        if other.isInverted {
            complements.append(other.inverted)
        } else {
            categories |= other.categories
            ranges += other.ranges
            complements += other.complements
        }
        decideASCII()
    }

    /// The other case of every ASCII letter, and what folds to one: the long s and the Kelvin sign.
    mutating func addOtherCase() {
        for value in UInt32(0x41)...0x5A where contains(value) || contains(value + 32) {
            ranges += [value...value, value + 32...value + 32]
            if value == 0x53 { ranges.append(0x17F...0x17F) }
            if value == 0x4B { ranges.append(0x212A...0x212A) }
        }
        decideASCII()
    }

    /// Whether it holds all but some scalars.
    var isComplement: Bool { isInverted || !complements.isEmpty }

    /// Whether the set has scalars beyond ASCII by range, whose other cases nothing here knows.
    var hasRangesBeyondASCII: Bool { ranges.contains { $0.upperBound > 0x7F } }

    func contains(_ value: UInt32) -> Bool {
        value < 64
            ? asciiLow >> UInt64(value) & 1 == 1
            : value < 128
                ? asciiHigh >> UInt64(value - 64) & 1 == 1 : evaluate(value)
    }

    private func evaluate(_ value: UInt32) -> Bool {
        if categories != 0, categories >> UInt32(ScalarCategory.rawValue(of: value)) & 1 == 1 {
            return !isInverted
        }
        for range in ranges where range.contains(value) { return !isInverted }
        for complement in complements where !complement.contains(value) { return !isInverted }
        return isInverted
    }

    private mutating func decideASCII() {
        asciiLow = 0
        asciiHigh = 0
        for value in UInt32(0)..<128 where evaluate(value) {
            if value < 64 {
                asciiLow |= 1 << UInt64(value)
            } else {
                asciiHigh |= 1 << UInt64(value - 64)
            }
        }
    }
}

/// Unicode's general categories.
enum ScalarCategory: UInt8, CaseIterable, Sendable {
    case uppercaseLetter, lowercaseLetter, titlecaseLetter, modifierLetter, otherLetter
    case nonspacingMark, spacingMark, enclosingMark
    case decimalNumber, letterNumber, otherNumber
    case connectorPunctuation, dashPunctuation, openPunctuation, closePunctuation
    case initialPunctuation, finalPunctuation, otherPunctuation
    case mathSymbol, currencySymbol, modifierSymbol, otherSymbol
    case spaceSeparator, lineSeparator, paragraphSeparator
    case control, format, surrogate, privateUse, unassigned

    /// The two letters that Unicode and expressions write.
    var name: String {
        let names: StaticString = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCoCn"
        return names.withUTF8Buffer { buffer in
            let start = 2 * Int(rawValue)
            return String(decoding: buffer[start..<start + 2], as: UTF8.self)
        }
    }

    /// A scalar's category as a raw value: from a table within the first plane, which most text is
    /// of, from the standard library beyond.
    static func rawValue(of value: UInt32) -> UInt8 {
        value < 0x10000 ? firstPlane[Int(value)] : evaluate(value)
    }

    private static let firstPlane: [UInt8] = (UInt32(0)..<0x10000).map(evaluate)

    // The public libraries' expressions know Unicode 16. What later versions assign is unassigned
    // to them, and U+0295 still a lowercase letter.
    private static func evaluate(_ value: UInt32) -> UInt8 {
        guard let scalar = Unicode.Scalar(value) else { return ScalarCategory.surrogate.rawValue }
        guard let age = scalar.properties.age, age.major <= 16 else {
            // Private use and the like have no age.
            let category = ScalarCategory(scalar.properties.generalCategory)
            return (category == .privateUse ? category : .unassigned).rawValue
        }
        if value == 0x295 { return ScalarCategory.lowercaseLetter.rawValue }
        return ScalarCategory(scalar.properties.generalCategory).rawValue
    }

    private init(_ category: Unicode.GeneralCategory) {
        self =
            switch category {
            case .uppercaseLetter: .uppercaseLetter
            case .lowercaseLetter: .lowercaseLetter
            case .titlecaseLetter: .titlecaseLetter
            case .modifierLetter: .modifierLetter
            case .otherLetter: .otherLetter
            case .nonspacingMark: .nonspacingMark
            case .spacingMark: .spacingMark
            case .enclosingMark: .enclosingMark
            case .decimalNumber: .decimalNumber
            case .letterNumber: .letterNumber
            case .otherNumber: .otherNumber
            case .connectorPunctuation: .connectorPunctuation
            case .dashPunctuation: .dashPunctuation
            case .openPunctuation: .openPunctuation
            case .closePunctuation: .closePunctuation
            case .initialPunctuation: .initialPunctuation
            case .finalPunctuation: .finalPunctuation
            case .otherPunctuation: .otherPunctuation
            case .mathSymbol: .mathSymbol
            case .currencySymbol: .currencySymbol
            case .modifierSymbol: .modifierSymbol
            case .otherSymbol: .otherSymbol
            case .spaceSeparator: .spaceSeparator
            case .lineSeparator: .lineSeparator
            case .paragraphSeparator: .paragraphSeparator
            case .control: .control
            case .format: .format
            case .surrogate: .surrogate
            case .privateUse: .privateUse
            case .unassigned: .unassigned
            @unknown default: .unassigned
            }
    }
}
