/// Runs a compiled expression on a text by backtracking.
struct ExpressionMatcher {
    /// Where to go on when the current way fails.
    private struct Choice {
        let place: Int
        var position: Int
        /// For a run, down to where it may be given back; for branches, the next one, below zero.
        var rest: Int
    }

    private let text: UnsafeBufferPointer<Unicode.Scalar>
    private let program: ExpressionProgram
    private var choices: [Choice] = []
    private var steps = 0

    /// Beyond so many steps on one text nothing matches: no known tokenizer's expression comes near.
    private let stepLimit: Int

    init(_ program: ExpressionProgram, _ text: UnsafeBufferPointer<Unicode.Scalar>) {
        self.program = program
        self.text = text
        stepLimit = (1 << 24) + 1024 * text.count
    }

    /// The leftmost match that begins at or after a position.
    mutating func firstMatch(from position: Int) -> Range<Int>? {
        var start = position
        while start <= text.count {
            if start < text.count
                ? program.first.allows(text[start].value) : program.first.isAnywhere
            {
                choices.removeAll(keepingCapacity: true)
                if let end = match(at: start, from: 0) { return start..<end }
            }
            start += 1
        }
        return nil
    }

    // Recursion, for look-ahead and atomic groups, is bounded by the expression's depth.
    private mutating func match(at start: Int, from place: Int) -> Int? {
        let floor = choices.count
        var place = place
        var position = start
        while true {
            steps += 1
            let goesOn: Bool
            switch program.instructions[place] {
            case .set(let set):
                goesOn =
                    position < text.count && program.sets[set].contains(text[position].value)
                position += 1
                place += 1
            case .run(let set, let minimum, let maximum):
                let end = runEnd(set, position, maximum)
                let least = position + minimum
                goesOn = end >= least
                place += 1
                position = end
                if end > least {
                    choices.append(Choice(place: place, position: end, rest: least))
                }
            case .keptRun(let set, let minimum, let maximum):
                let end = runEnd(set, position, maximum)
                goesOn = end - position >= minimum
                place += 1
                position = end
            case .either(let first, let second):
                choices.append(Choice(place: second, position: position, rest: position))
                place = first
                goesOn = true
            case .branches(let list):
                goesOn = takeBranch(of: list, from: 0, at: position, &place)
            case .jump(let target):
                place = target
                goesOn = true
            case .look(let isNegative, let next):
                goesOn = (match(at: position, from: place + 1) != nil) != isNegative
                place = next
            case .atomic(let next):
                let end = match(at: position, from: place + 1)
                goesOn = end != nil
                position = end ?? position
                place = next
            case .assertion(let assertion):
                goesOn = holds(assertion, at: position)
                place += 1
            case .success:
                choices.removeSubrange(floor...)
                return position
            }
            if goesOn { continue }
            guard steps < stepLimit, let next = resume(above: floor, &place) else {
                choices.removeSubrange(floor...)
                return nil
            }
            position = next
        }
    }

    /// Takes up the last choice.
    private mutating func resume(above floor: Int, _ place: inout Int) -> Int? {
        while choices.count > floor {
            let last = choices.count - 1
            let choice = choices[last]
            if choice.rest < 0 {
                choices.removeLast()
                guard case .branches(let list) = program.instructions[choice.place] else {
                    continue
                }
                place = choice.place
                if takeBranch(of: list, from: -choice.rest, at: choice.position, &place) {
                    return choice.position
                }
            } else if choice.position > choice.rest {
                choices[last].position -= 1
                place = choice.place
                if choice.position - 1 == choice.rest { choices.removeLast() }
                return choice.position - 1
            } else {
                choices.removeLast()
                place = choice.place
                return choice.position
            }
        }
        return nil
    }

    /// Goes to the first fitting branch and notes that there are more.
    private mutating func takeBranch(
        of list: Int,
        from start: Int,
        at position: Int,
        _ place: inout Int
    ) -> Bool {
        let count = program.branchLists[list].count
        var index = start
        while index < count, !fits(program.branchLists[list][index].first, position) { index += 1 }
        guard index < count else { return false }
        if index + 1 < count {
            choices.append(Choice(place: place, position: position, rest: -(index + 1)))
        }
        place = program.branchLists[list][index].place
        return true
    }

    private func fits(_ first: ExpressionProgram.First, _ position: Int) -> Bool {
        position < text.count ? first.allows(text[position].value) : first.isAnywhere
    }

    private func runEnd(_ set: Int, _ start: Int, _ maximum: Int) -> Int {
        let limit = maximum < text.count - start ? start + maximum : text.count
        var end = start
        let low = program.sets[set].asciiLow
        let high = program.sets[set].asciiHigh
        while end < limit {
            let value = text[end].value
            let isMember =
                value < 64
                ? low >> UInt64(value) & 1 == 1
                : value < 128
                    ? high >> UInt64(value - 64) & 1 == 1 : program.sets[set].contains(value)
            guard isMember else { break }
            end += 1
        }
        return end
    }

    private func holds(_ assertion: ExpressionNode.Assertion, at position: Int) -> Bool {
        func isWord(_ index: Int) -> Bool {
            text.indices.contains(index) && ScalarSet.expressionWord.contains(text[index].value)
        }
        return switch assertion {
        case .textStart: position == 0
        case .textEnd: position == text.count
        case .lineStart:
            // Oniguruma: not after a line end that ends the text.
            position == 0 || position < text.count && text[position - 1] == "\n"
        case .lineEnd: position == text.count || text[position] == "\n"
        case .wordBoundary: isWord(position - 1) != isWord(position)
        case .noWordBoundary: isWord(position - 1) == isWord(position)
        }
    }
}
