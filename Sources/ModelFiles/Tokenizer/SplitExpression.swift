/// A regular expression that splits a text, with the semantics of Oniguruma: the first alternative
/// that matches, greedy repetition, backtracking.
///
/// It is compiled once to a list of instructions; a match takes memory in proportion to the text.
struct SplitExpression: Sendable, Equatable {
    /// What the file says.
    let pattern: String
    /// Whether the pattern is a text rather than an expression.
    let isLiteral: Bool
    let program: ExpressionProgram

    /// Parses and compiles.
    ///
    /// `place`: What messages call the expression.
    ///
    /// `node`: What the pattern stands for, where it is known.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`), naming the construct and its position.
    init(
        _ pattern: String,
        place: String = "expression",
        _ node: ExpressionNode? = nil
    ) throws(ModelFileError) {
        self.pattern = pattern
        isLiteral = false
        if let node {
            program = try ExpressionProgram(node, place: place)
        } else {
            var parser = try ExpressionParser(pattern, place: place)
            program = try ExpressionProgram(try parser.parse(), place: place)
        }
    }

    /// A text as it is.
    init(literal: String) {
        pattern = literal
        isLiteral = true
        program = ExpressionProgram(literal: literal)
    }

    static func == (left: SplitExpression, right: SplitExpression) -> Bool {
        left.pattern.utf8.elementsEqual(right.pattern.utf8) && left.program == right.program
    }

    /// Calls `body` with every match within a range, left to right.
    ///
    /// An empty match right after a match is passed over. The text ends where the range ends.
    func forEachMatch(
        in text: UnsafeBufferPointer<Unicode.Scalar>,
        _ body: (Range<Int>) -> Void
    ) {
        var matcher = ExpressionMatcher(program, text)
        var start = 0
        var lastEnd = -1
        while start <= text.count {
            guard let match = matcher.firstMatch(from: start) else { return }
            if match.isEmpty && match.lowerBound == lastEnd {
                start += 1
                continue
            }
            body(match)
            lastEnd = match.upperBound
            start = match.upperBound
        }
    }
}

/// A compiled expression.
struct ExpressionProgram: Sendable, Equatable {
    /// Places of instructions are numbers of this program.
    enum Instruction: Sendable, Equatable {
        /// Takes one scalar of a set.
        case set(Int)
        /// Takes scalars of a set, as many as there are, and gives them back one by one.
        case run(set: Int, minimum: Int, maximum: Int)
        /// Takes scalars of a set and keeps them.
        case keptRun(set: Int, minimum: Int, maximum: Int)
        /// Goes on at the first place; on failure at the second.
        case either(Int, Int)
        /// Goes on at each branch whose first scalar fits, in order.
        case branches(Int)
        case jump(Int)
        /// Matches what follows up to its `success`, then goes on at `next`.
        case look(isNegative: Bool, next: Int)
        case atomic(next: Int)
        case assertion(ExpressionNode.Assertion)
        case success
    }

    /// What a branch, or the whole expression, can begin with.
    struct First: Sendable, Equatable {
        var asciiLow: UInt64 = 0
        var asciiHigh: UInt64 = 0
        var isBeyondASCII = false
        /// Whether it can match without taking a scalar.
        var isAnywhere = false

        func allows(_ value: UInt32) -> Bool {
            isAnywhere
                || (value < 64
                    ? asciiLow >> UInt64(value) & 1 == 1
                    : value < 128 ? asciiHigh >> UInt64(value - 64) & 1 == 1 : isBeyondASCII)
        }

        mutating func formUnion(_ other: First) {
            asciiLow |= other.asciiLow
            asciiHigh |= other.asciiHigh
            isBeyondASCII = isBeyondASCII || other.isBeyondASCII
            isAnywhere = isAnywhere || other.isAnywhere
        }
    }

    struct Branch: Sendable, Equatable {
        let first: First
        let place: Int
    }

    private(set) var instructions: [Instruction] = []
    private(set) var sets: [ScalarSet] = []
    private(set) var branchLists: [[Branch]] = []
    private(set) var first = First()
    private static let instructionLimit = 1 << 14

    init(_ node: ExpressionNode, place: String) throws(ModelFileError) {
        first = Self.first(node)
        do {
            try append(node)
        } catch {
            throw ModelFileError(error.code, "\(place): \(error.message)")
        }
        instructions.append(.success)
    }

    init(literal: String) {
        for scalar in literal.unicodeScalars {
            sets.append(.scalar(scalar))
            instructions.append(.set(sets.count - 1))
        }
        if let head = sets.first { first = Self.first(.set(head)) }
        instructions.append(.success)
    }

    private mutating func add(_ instruction: Instruction) throws(ModelFileError) {
        guard instructions.count < Self.instructionLimit else {
            throw ModelFileError(
                .unsupported,
                "the expression compiles to more than \(Self.instructionLimit) steps"
            )
        }
        instructions.append(instruction)
    }

    private mutating func number(_ set: ScalarSet) -> Int {
        if let known = sets.firstIndex(of: set) { return known }
        sets.append(set)
        return sets.count - 1
    }

    // The parser bounds the depth.
    private mutating func append(_ node: ExpressionNode) throws(ModelFileError) {
        switch node {
        case .set(let set): try add(.set(number(set)))
        case .assertion(let assertion): try add(.assertion(assertion))
        case .sequence(let nodes): for node in nodes { try append(node) }
        case .alternatives(let nodes):
            let start = instructions.count
            let list = branchLists.count
            try add(.branches(list))
            branchLists.append([])
            var ends: [Int] = []
            var branches: [Branch] = []
            for node in nodes {
                branches.append(Branch(first: Self.first(node), place: instructions.count))
                try append(node)
                ends.append(instructions.count)
                try add(.jump(start))
            }
            for end in ends { instructions[end] = .jump(instructions.count) }
            branchLists[list] = branches
        case .lookAhead(let node, let isNegative):
            let start = instructions.count
            try add(.look(isNegative: isNegative, next: start))
            try append(node)
            try add(.success)
            instructions[start] = .look(isNegative: isNegative, next: instructions.count)
        case .atomic(let node):
            let start = instructions.count
            try add(.atomic(next: start))
            try append(node)
            try add(.success)
            instructions[start] = .atomic(next: instructions.count)
        case .repeated(.set(let set), let minimum, let maximum, let eagerness)
        where eagerness != .lazy:
            let set = number(set)
            let maximum = maximum ?? .max
            try add(
                eagerness == .greedy
                    ? .run(set: set, minimum: minimum, maximum: maximum)
                    : .keptRun(set: set, minimum: minimum, maximum: maximum)
            )
        case .repeated(let node, let minimum, let maximum, .possessive):
            try append(
                .atomic(
                    .repeated(node, minimum: minimum, maximum: maximum, .greedy)
                )
            )
        case .repeated(let node, let minimum, let maximum, let eagerness):
            try appendLoop(node, minimum, maximum, isLazy: eagerness == .lazy)
        }
    }

    private mutating func appendLoop(
        _ node: ExpressionNode,
        _ minimum: Int,
        _ maximum: Int?,
        isLazy: Bool
    ) throws(ModelFileError) {
        for _ in 0..<minimum { try append(node) }
        func either(_ body: Int, _ end: Int) -> Instruction {
            isLazy ? .either(end, body) : .either(body, end)
        }
        guard let maximum else {
            let start = instructions.count
            try add(.jump(start))
            try append(node)
            try add(.jump(start))
            instructions[start] = either(start + 1, instructions.count)
            return
        }
        var starts: [Int] = []
        for _ in minimum..<max(minimum, maximum) {
            starts.append(instructions.count)
            try add(.jump(0))
            try append(node)
        }
        for start in starts { instructions[start] = either(start + 1, instructions.count) }
    }

    private static func first(_ node: ExpressionNode) -> First {
        switch node {
        case .set(let set):
            return First(
                asciiLow: set.asciiLow,
                asciiHigh: set.asciiHigh,
                isBeyondASCII: set.isComplement || set.categories != 0 || set.hasRangesBeyondASCII
            )
        case .sequence(let nodes):
            var first = First()
            for node in nodes {
                first.formUnion(Self.first(node))
                guard first.isAnywhere else { return first }
                // What takes nothing leaves the choice to what follows, if anything does.
                first.isAnywhere = false
            }
            first.isAnywhere = true
            return first
        case .alternatives(let nodes):
            return nodes.reduce(into: First()) { $0.formUnion(first($1)) }
        case .repeated(let node, let minimum, _, _):
            var first = first(node)
            first.isAnywhere = first.isAnywhere || minimum == 0
            return first
        case .atomic(let node): return first(node)
        case .lookAhead, .assertion: return First(isAnywhere: true)
        }
    }
}
