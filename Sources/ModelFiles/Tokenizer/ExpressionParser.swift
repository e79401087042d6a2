/// An expression as a tree.
indirect enum ExpressionNode {
    /// One scalar of a set.
    case set(ScalarSet)
    case sequence([ExpressionNode])
    case alternatives([ExpressionNode])
    /// At least `minimum`, at most `maximum` times; nil is without end.
    case repeated(ExpressionNode, minimum: Int, maximum: Int?, Eagerness)
    /// What follows does, or does not, match; takes nothing.
    case lookAhead(ExpressionNode, isNegative: Bool)
    /// A group whose match is not tried another way.
    case atomic(ExpressionNode)
    case assertion(Assertion)

    enum Eagerness {
        case greedy, lazy, possessive
    }

    enum Assertion {
        case lineStart, lineEnd, textStart, textEnd, wordBoundary, noWordBoundary
    }

    /// Whether it can match without taking anything.
    var isNullable: Bool {
        switch self {
        case .set: false
        case .sequence(let nodes): nodes.allSatisfy(\.isNullable)
        case .alternatives(let nodes): nodes.contains(where: \.isNullable)
        case .repeated(let node, let minimum, _, _): minimum == 0 || node.isNullable
        case .atomic(let node): node.isNullable
        case .lookAhead, .assertion: true
        }
    }
}

/// Parses an expression as Oniguruma does, which Hugging Face's tokenizers use.
///
/// Read are what tokenizers' splits are made of; anything else is refused by name and position.
struct ExpressionParser {
    private let pattern: [Unicode.Scalar]
    private let place: String
    private var position = 0
    private var ignoresCase = false
    private var depth = 0

    private static let lengthLimit = 1 << 14
    private static let depthLimit = 32
    private static let repeatLimit = 1024

    init(_ pattern: String, place: String) throws(ModelFileError) {
        self.pattern = Array(pattern.unicodeScalars)
        self.place = place
        guard self.pattern.count <= Self.lengthLimit else {
            throw ModelFileError(
                .unsupported,
                "\(place): an expression of \(self.pattern.count) characters; the limit is "
                    + "\(Self.lengthLimit)"
            )
        }
    }

    mutating func parse() throws(ModelFileError) -> ExpressionNode {
        let node = try alternatives()
        guard position == pattern.count else { throw refusal("a parenthesis that closes nothing") }
        return node
    }

    private func refusal(_ what: String) -> ModelFileError {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: pattern)
        return ModelFileError(
            .unsupported,
            "\(place): the expression has \(what) at character \(position), which is not read: "
                + String(text)
        )
    }

    private func peek(_ offset: Int = 0) -> Unicode.Scalar? {
        position + offset < pattern.count ? pattern[position + offset] : nil
    }

    private mutating func take(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        guard pattern[position...].starts(with: scalars) else { return false }
        position += scalars.count
        return true
    }

    private mutating func alternatives() throws(ModelFileError) -> ExpressionNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else {
            throw refusal("more than \(Self.depthLimit) nested groups")
        }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(ModelFileError) -> ExpressionNode {
        var nodes: [ExpressionNode] = []
        while let next = peek(), next != "|", next != ")" {
            nodes.append(try quantified(try atom()))
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    private mutating func quantified(
        _ first: ExpressionNode
    ) throws(ModelFileError) -> ExpressionNode {
        var node = first
        while true {
            let minimum: Int
            var maximum: Int?
            var takesSuffix = true
            if take("*") {
                (minimum, maximum) = (0, nil)
            } else if take("+") {
                (minimum, maximum) = (1, nil)
            } else if take("?") {
                (minimum, maximum) = (0, 1)
            } else if let bounds = try interval() {
                (minimum, maximum) = bounds
                // Oniguruma reads `{m,n}+` as a repetition of the repetition.
                takesSuffix = false
            } else {
                return node
            }
            switch node {
            case .assertion, .lookAhead: throw refusal("a repeated assertion")
            default: break
            }
            guard !node.isNullable || maximum == 1 else {
                throw refusal("a repetition of what may be empty")
            }
            var eagerness = ExpressionNode.Eagerness.greedy
            if take("?") {
                eagerness = .lazy
            } else if takesSuffix, take("+") {
                eagerness = .possessive
            }
            node = .repeated(node, minimum: minimum, maximum: maximum, eagerness)
        }
    }

    private mutating func interval() throws(ModelFileError) -> (Int, Int?)? {
        guard peek() == "{" else { return nil }
        let start = position
        position += 1
        let minimum = number()
        var maximum = minimum
        if take(",") { maximum = number() }
        let isOpen = pattern[position - 1] == ","
        guard take("}"), minimum != nil || maximum != nil else {
            // A brace that begins no interval stands for itself.
            position = start
            return nil
        }
        let least = minimum ?? 0
        let most = isOpen ? nil : maximum
        guard least <= Self.repeatLimit, most ?? least <= Self.repeatLimit, least <= most ?? least
        else {
            throw refusal("an interval beyond \(Self.repeatLimit) or in the wrong order")
        }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = peek(), ("0"..."9").contains(digit), value ?? 0 < 1 << 20 {
            value = (value ?? 0) * 10 + Int(digit.value - 0x30)
            position += 1
        }
        return value
    }

    private mutating func atom() throws(ModelFileError) -> ExpressionNode {
        guard let scalar = peek() else { throw refusal("an end") }
        switch scalar {
        case "(": return try group()
        case "[":
            position += 1
            return .set(cased(try bracket()))
        case ".":
            position += 1
            return .set(.anyButLineEnd)
        case "^":
            position += 1
            return .assertion(.lineStart)
        case "$":
            position += 1
            return .assertion(.lineEnd)
        case "\\": return try escape()
        case "*", "+", "?": throw refusal("a repetition of nothing")
        case "{" where try interval() != nil: throw refusal("a repetition of nothing")
        default:
            position += 1
            return try literal(scalar)
        }
    }

    private mutating func literal(_ scalar: Unicode.Scalar) throws(ModelFileError) -> ExpressionNode
    {
        guard ignoresCase else { return .set(.scalar(scalar)) }
        guard scalar.isASCII else { throw refusal("a letter beyond ASCII in any case") }
        // Ligatures and the sharp s fold to two letters.
        let next = peek().map { $0.properties.lowercaseMapping } ?? ""
        let pair = scalar.properties.lowercaseMapping + next
        guard !["ss", "st", "ff", "fi", "fl"].contains(pair) else {
            throw refusal("the letters \(pair) in any case")
        }
        return .set(cased(.scalar(scalar)))
    }

    private func cased(_ set: ScalarSet) -> ScalarSet {
        guard ignoresCase else { return set }
        var set = set
        set.addOtherCase()
        return set
    }

    private mutating func group() throws(ModelFileError) -> ExpressionNode {
        let outer = ignoresCase
        defer { ignoresCase = outer }
        let node: ExpressionNode
        if take("(?:") {
            node = try alternatives()
        } else if take("(?i:") {
            ignoresCase = true
            node = try alternatives()
        } else if take("(?=") {
            node = .lookAhead(try alternatives(), isNegative: false)
        } else if take("(?!") {
            node = .lookAhead(try alternatives(), isNegative: true)
        } else if take("(?>") {
            node = .atomic(try alternatives())
        } else if peek(1) == "?" || peek(1) == "*" {
            throw refusal("a group of another kind than (…), (?:…), (?i:…), (?=…), (?!…), (?>…)")
        } else {
            position += 1
            node = try alternatives()
        }
        guard take(")") else { throw refusal("a group without end") }
        return node
    }

    /// An escape outside of brackets.
    private mutating func escape() throws(ModelFileError) -> ExpressionNode {
        switch peek(1) {
        case "b": return assertion(.wordBoundary)
        case "B": return assertion(.noWordBoundary)
        case "A": return assertion(.textStart)
        case "z": return assertion(.textEnd)
        default: break
        }
        let isSet = peek(1).map { "dDsSwWpP".unicodeScalars.contains($0) } ?? false
        let set = try escapedSet(word: .expressionWord)
        if !isSet, ignoresCase, let scalar = set.ranges.first?.lowerBound, scalar > 0x7F {
            throw refusal("a letter beyond ASCII in any case")
        }
        return .set(isSet ? set : cased(set))
    }

    private mutating func assertion(_ assertion: ExpressionNode.Assertion) -> ExpressionNode {
        position += 2
        return .assertion(assertion)
    }

    /// The set that an escape stands for: a class, or one scalar.
    ///
    /// `word`: What `\\w` is, which Oniguruma takes for another set within brackets than outside.
    private mutating func escapedSet(
        word: ScalarSet
    ) throws(ModelFileError) -> ScalarSet {
        guard let scalar = peek(1) else { throw refusal("a backslash at its end") }
        let start = position
        position += 2
        switch scalar {
        case "s": return .whiteSpace
        case "S": return ScalarSet.whiteSpace.inverted
        case "d": return .decimalDigit
        case "D": return ScalarSet.decimalDigit.inverted
        case "w": return word
        case "W": return word.inverted
        case "n": return .scalar("\n")
        case "r": return .scalar("\r")
        case "t": return .scalar("\t")
        case "v": return .scalar("\u{B}")
        case "f": return .scalar("\u{C}")
        case "p", "P":
            let isInverted = scalar == "P"
            guard take("{") else { throw refusal("a property without braces") }
            let isNegated = take("^")
            var name = ""
            while let next = peek(), next != "}" {
                name.unicodeScalars.append(next)
                position += 1
            }
            guard take("}"), let set = ScalarSet(property: name) else {
                position = start
                throw refusal("the property \(name)")
            }
            return isInverted != isNegated ? set.inverted : set
        case "x", "u":
            return .scalar(try hexadecimal(isLong: scalar == "u", start: start))
        case "a"..."z", "A"..."Z", "0"..."9":
            position = start
            throw refusal("\\\(scalar)")
        default: return .scalar(scalar)
        }
    }

    private mutating func hexadecimal(
        isLong: Bool,
        start: Int
    ) throws(ModelFileError) -> Unicode.Scalar {
        let isBraced = !isLong && take("{")
        var value: UInt32 = 0
        var count = 0
        while let digit = peek(), let nibble = Character(digit).hexDigitValue,
            count < (isBraced ? 6 : isLong ? 4 : 2)
        {
            value = value << 4 | UInt32(nibble)
            count += 1
            position += 1
        }
        // Two digits above 7F would be a byte of UTF-8, not a scalar.
        guard count > 0, !isLong || count == 4, !isBraced || take("}"),
            isBraced || isLong || value < 0x80, let scalar = Unicode.Scalar(value)
        else {
            position = start
            throw refusal("a hexadecimal escape of another form than \\uHHHH, \\x{…}, \\xHH to 7F")
        }
        return scalar
    }

    /// The rest of a class after its opening bracket.
    private mutating func bracket() throws(ModelFileError) -> ScalarSet {
        let isInverted = take("^")
        var set = ScalarSet()
        var isFirst = true
        while let scalar = peek(), scalar != "]" || isFirst {
            if scalar == "[" {
                throw refusal("a class in a class")
            }
            if scalar == "&", peek(1) == "&" {
                throw refusal("an intersection")
            }
            if scalar == "]" {
                throw refusal("an empty class")
            }
            isFirst = false
            let isProperty =
                scalar == "\\"
                && (peek(1).map { "dDsSwWpP".unicodeScalars.contains($0) } ?? false)
            let item = try bracketItem()
            guard !isProperty, peek() == "-", let end = peek(1), end != "]" else {
                set.formUnion(item)
                continue
            }
            position += 1
            let last = try bracketItem()
            guard let low = item.ranges.first?.lowerBound, let high = last.ranges.first?.lowerBound,
                last.ranges.count == 1, last.categories == 0, low <= high, !last.isComplement
            else {
                throw refusal("a range that is none")
            }
            set.formUnion(low...high)
        }
        guard take("]") else { throw refusal("a class without end") }
        if ignoresCase, set.hasRangesBeyondASCII {
            throw refusal("a class beyond ASCII in any case")
        }
        return isInverted ? cased(set).inverted : set
    }

    private mutating func bracketItem() throws(ModelFileError) -> ScalarSet {
        guard let scalar = peek() else { throw refusal("a class without end") }
        if scalar == "\\" { return try escapedSet(word: .word) }
        if scalar == "[" { throw refusal("a class in a class") }
        position += 1
        return .scalar(scalar)
    }
}
