/// A regular expression, or a glob, that takes time linear in the text and in itself.
///
/// A checkpoint or a job file of unknown origin cannot keep us busy with one. Over bytes, it reads
/// what ``syntax`` lists.
/// - SeeAlso: Thompson, "Regular Expression Search Algorithm", 1968.
public struct LinearExpression: Sendable, Equatable {
    private enum Step: Equatable {
        /// Any byte of a set.
        case byte(ByteSet)
        /// On at both places, relative to this one.
        case split(Int, Int)
        case jump(Int)
        case start
        case end
        case match
    }

    /// What an expression may hold, for people.
    public static let syntax =
        #"letters, ., [a-z], \d \w \s, (…), |, * + ? {m,n}, ^ and $, in at most 1000 steps"#

    private static let stepLimit = 1000

    private let steps: [Step]

    /// Compiles a regular expression; nil if it is none, too long, or uses more than ``syntax``.
    public init?(_ text: String) {
        var compiler = Compiler(rest: Array(text.utf8)[...])
        guard let steps = compiler.alternatives(depth: 0), compiler.rest.isEmpty else { return nil }
        self.steps = steps + [.match]
    }

    /// Compiles a glob: `*` stands for any bytes, `?` for one.
    public init(glob: String) {
        steps =
            glob.utf8.flatMap { byte -> [Step] in
                switch byte {
                case UInt8(ascii: "*"): [.split(1, 3), .byte(.all), .jump(-2)]
                case UInt8(ascii: "?"): [.byte(.all)]
                default: [.byte(ByteSet { $0 == byte })]
                }
            } + [.match]
    }

    /// Whether it matches from the beginning on; like Python's `re.match` it need not reach the end.
    public func matchesStart(_ text: String) -> Bool { run(text, toEnd: false) }

    /// Whether it matches all of the text.
    public func matchesWhole(_ text: String) -> Bool { run(text, toEnd: true) }

    private func run(_ text: String, toEnd: Bool) -> Bool {
        let bytes = Array(text.utf8)
        var states = [0]
        var open: [Int] = []
        // The position after which each step was last reached.
        var reached = [Int](repeating: 0, count: steps.count)
        for position in 0...bytes.count {
            let isEnd = position == bytes.count
            open.removeAll(keepingCapacity: true)
            // All steps that are reached without taking a byte.
            while let index = states.popLast() {
                guard reached[index] <= position else { continue }
                reached[index] = position + 1
                switch steps[index] {
                case .byte: open.append(index)
                case .split(let first, let second): states += [index + first, index + second]
                case .jump(let distance): states.append(index + distance)
                case .start: if position == 0 { states.append(index + 1) }
                case .end: if isEnd { states.append(index + 1) }
                case .match: if isEnd || !toEnd { return true }
                }
            }
            guard !isEnd, !open.isEmpty else { return false }
            for index in open {
                if case .byte(let set) = steps[index], set.contains(bytes[position]) {
                    states.append(index + 1)
                }
            }
        }
        return false
    }

    /// Turns text into steps; every function returns nil of what it does not read.
    private struct Compiler {
        var rest: ArraySlice<UInt8>

        private mutating func take(_ text: StaticString) -> Bool {
            let count = text.utf8CodeUnitCount
            let bytes = UnsafeBufferPointer(start: text.utf8Start, count: count)
            guard rest.starts(with: bytes) else { return false }
            rest = rest.dropFirst(count)
            return true
        }

        mutating func alternatives(depth: Int) -> [Step]? {
            guard depth < 16, var code = sequence(depth: depth) else { return nil }
            while take("|") {
                guard let other = sequence(depth: depth) else { return nil }
                code =
                    [.split(1, code.count + 2)] + code + [.jump(other.count + 1)] + other
                guard code.count <= stepLimit else { return nil }
            }
            return code
        }

        private mutating func sequence(depth: Int) -> [Step]? {
            var code: [Step] = []
            while let next = rest.first, next != UInt8(ascii: "|"), next != UInt8(ascii: ")") {
                guard let atom = atom(depth: depth), let repeated = repeated(atom) else {
                    return nil
                }
                code += repeated
                guard code.count <= stepLimit else { return nil }
            }
            return code
        }

        private mutating func atom(depth: Int) -> [Step]? {
            if take("^") { return [.start] }
            if take("$") { return [.end] }
            if take(".") { return [.byte(.all)] }
            if take("(") {
                // Lookaround and flags also begin with a question mark; they are not read.
                if !take("?:"), rest.first == UInt8(ascii: "?") { return nil }
                guard let code = alternatives(depth: depth + 1), take(")") else { return nil }
                return code
            }
            guard let set = take("[") ? bracket() : single() else { return nil }
            return [.byte(set)]
        }

        private mutating func repeated(_ atom: [Step]) -> [Step]? {
            var code: [Step]
            if take("*") {
                code = [.split(1, atom.count + 2)] + atom + [.jump(-atom.count - 1)]
            } else if take("+") {
                code = atom + [.split(-atom.count, 1)]
            } else if take("?") {
                code = [.split(1, atom.count + 1)] + atom
            } else if take("{") {
                guard let low = number() else { return nil }
                let high = take(",") ? number() : low
                guard let high, low <= high, take("}"), high * atom.count <= stepLimit else {
                    return nil
                }
                code = []
                for index in 0..<high {
                    code += index < low ? atom : [.split(1, atom.count + 1)] + atom
                }
            } else {
                return atom
            }
            // Greed does not matter to whether it matches.
            _ = take("?")
            return rest.first.map { Array("*+{".utf8).contains($0) } ?? false ? nil : code
        }

        private mutating func number() -> Int? {
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard (1...3).contains(digits.count) else { return nil }
            rest = rest.dropFirst(digits.count)
            return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        }

        /// A byte that stands for itself, or an escape.
        private mutating func single() -> ByteSet? {
            guard let byte = rest.popFirst(), !Array("*+?{})]".utf8).contains(byte) else {
                return nil
            }
            guard byte == UInt8(ascii: "\\") else { return ByteSet { $0 == byte } }
            guard let kind = rest.popFirst() else { return nil }
            func isDigit(_ byte: UInt8) -> Bool {
                Unicode.Scalar(byte).properties.numericType != nil
            }
            func isWord(_ byte: UInt8) -> Bool {
                byte == UInt8(ascii: "_") || Character(Unicode.Scalar(byte)).isLetter
                    || isDigit(byte)
            }
            switch kind {
            case UInt8(ascii: "d"): return ByteSet { $0 < 0x80 && isDigit($0) }
            case UInt8(ascii: "w"): return ByteSet { $0 < 0x80 && isWord($0) }
            case UInt8(ascii: "s"): return ByteSet { $0 == 0x20 || (0x09...0x0D).contains($0) }
            default:
                // An escaped letter or digit has a meaning that is not read.
                return kind < 0x80 && !isWord(kind) ? ByteSet { $0 == kind } : nil
            }
        }

        private mutating func bracket() -> ByteSet? {
            let isInverted = take("^")
            var set = ByteSet.none
            var isEmpty = true
            while isEmpty || !take("]") {
                isEmpty = false
                guard let low = rest.first, let lower = single() else { return nil }
                if low != UInt8(ascii: "\\"), take("-") {
                    guard let high = rest.popFirst(), high >= low, high != UInt8(ascii: "]") else {
                        return nil
                    }
                    set.formUnion(ByteSet { (low...high).contains($0) })
                } else {
                    set.formUnion(lower)
                }
            }
            return isInverted ? set.inverted : set
        }
    }
}

/// A set of bytes, a bit each.
private struct ByteSet: Sendable, Equatable {
    static let none = ByteSet(words: .zero)
    static let all = ByteSet(words: SIMD4(repeating: .max))

    private var words: SIMD4<UInt64>

    private init(words: SIMD4<UInt64>) {
        self.words = words
    }

    init(_ isMember: (UInt8) -> Bool) {
        words = .zero
        for byte in UInt8.min...UInt8.max where isMember(byte) {
            words[Int(byte >> 6)] |= 1 << UInt64(byte & 63)
        }
    }

    var inverted: ByteSet { ByteSet(words: ~words) }

    func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }

    mutating func formUnion(_ other: ByteSet) { words |= other.words }
}
