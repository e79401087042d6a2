/// A text that is being split: its scalars, and the stretches that pieces have become so far.
struct PieceList {
    var scalars: [Unicode.Scalar]
    /// Not empty, in order, without overlap; what is in none has been removed.
    var pieces: [Range<Int>]
    /// Whether the first scalar is the first of the whole input.
    private(set) var beginsInput: Bool

    init(_ scalars: [Unicode.Scalar], beginsInput: Bool) {
        self.scalars = scalars
        pieces = scalars.isEmpty ? [] : [0..<scalars.count]
        self.beginsInput = beginsInput
    }

    /// What becomes of the stretches that match.
    enum Behavior: String, Sendable, Equatable {
        /// Each is a piece.
        case isolated = "Isolated"
        /// They are dropped.
        case removed = "Removed"
        /// Each ends the piece before it.
        case mergedWithPrevious = "MergedWithPrevious"
        /// Each begins the piece after it.
        case mergedWithNext = "MergedWithNext"
        /// Those side by side are one piece.
        case contiguous = "Contiguous"
    }

    /// Splits every piece at the matches of an expression.
    mutating func split(
        at expression: SplitExpression,
        _ behavior: Behavior,
        isInverted: Bool = false
    ) {
        split(behavior, isInverted: isInverted) { text, found in
            expression.forEachMatch(in: text, found)
        }
    }

    /// Splits every piece at each scalar of a kind.
    mutating func split(
        _ behavior: Behavior,
        at isSeparator: (Unicode.Scalar) -> Bool
    ) {
        split(behavior, isInverted: false) { text, found in
            for index in text.indices where isSeparator(text[index]) { found(index..<index + 1) }
        }
    }

    private mutating func split(
        _ behavior: Behavior,
        isInverted: Bool,
        _ findMatches: (UnsafeBufferPointer<Unicode.Scalar>, (Range<Int>) -> Void) -> Void
    ) {
        var output: [Range<Int>] = []
        output.reserveCapacity(pieces.count)
        var spans: [(range: Range<Int>, isMatch: Bool)] = []
        scalars.withUnsafeBufferPointer { buffer in
            for piece in pieces {
                spans.removeAll(keepingCapacity: true)
                var end = 0
                let text = UnsafeBufferPointer(rebasing: buffer[piece])
                findMatches(text) { match in
                    if end < match.lowerBound { spans.append((end..<match.lowerBound, isInverted)) }
                    spans.append((match, !isInverted))
                    end = match.upperBound
                }
                if end < text.count { spans.append((end..<text.count, isInverted)) }
                for range in Self.merged(spans, behavior) where !range.isEmpty {
                    let start = piece.lowerBound
                    output.append(start + range.lowerBound..<start + range.upperBound)
                }
            }
        }
        pieces = output
    }

    /// The library's rules, which look at whether the span before, or after, was a match too.
    private static func merged(
        _ spans: [(range: Range<Int>, isMatch: Bool)],
        _ behavior: Behavior
    ) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var wasMatch = false
        switch behavior {
        case .isolated: return spans.map(\.range)
        case .removed: return spans.filter { !$0.isMatch }.map(\.range)
        case .contiguous, .mergedWithPrevious:
            for (range, isMatch) in spans {
                let joins = behavior == .contiguous ? isMatch == wasMatch : isMatch && !wasMatch
                if joins, let last = result.last {
                    result[result.count - 1] = last.lowerBound..<range.upperBound
                } else {
                    result.append(range)
                }
                wasMatch = isMatch
            }
            return result
        case .mergedWithNext:
            for (range, isMatch) in spans.reversed() {
                if isMatch, !wasMatch, let last = result.last {
                    result[result.count - 1] = range.lowerBound..<last.upperBound
                } else {
                    result.append(range)
                }
                wasMatch = isMatch
            }
            return result.reversed()
        }
    }

    /// Puts a scalar before every piece for which `isDue` holds; it is told whether the piece begins
    /// the input.
    mutating func prepend(
        _ prefix: Unicode.Scalar,
        where isDue: (_ first: Unicode.Scalar, _ beginsInput: Bool) -> Bool
    ) {
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(scalars.count + pieces.count)
        var moved: [Range<Int>] = []
        moved.reserveCapacity(pieces.count)
        var stillBegins = false
        for piece in pieces {
            let start = output.count
            let isFirst = beginsInput && piece.lowerBound == 0
            stillBegins = stillBegins || isFirst
            if isDue(scalars[piece.lowerBound], isFirst) { output.append(prefix) }
            output.append(contentsOf: scalars[piece])
            moved.append(start..<output.count)
        }
        beginsInput = stillBegins
        scalars = output
        pieces = moved
    }

    /// The pieces' UTF-8, and where each ends, in order.
    func utf8() -> (bytes: [UInt8], ends: [Int]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(scalars.count + scalars.count / 8)
        var ends: [Int] = []
        ends.reserveCapacity(pieces.count)
        for piece in pieces {
            for scalar in scalars[piece] {
                if scalar.value < 0x80 {
                    bytes.append(UInt8(truncatingIfNeeded: scalar.value))
                } else {
                    bytes.append(
                        contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
                    )
                }
            }
            ends.append(bytes.count)
        }
        return (bytes, ends)
    }
}
