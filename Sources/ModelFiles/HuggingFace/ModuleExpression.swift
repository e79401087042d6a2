/// A regular expression over module names, as `re:` targets of a checkpoint have it.
///
/// It takes time linear in the name and in the expression: a checkpoint of unknown origin cannot keep
/// us busy. Like Python's `re.match` it matches from the beginning on and need not reach the end. Read
/// are literals, `.`, classes, `\d \w \s`, groups, `|`, `* + ? {m,n}`, `^` and `$`, over bytes.
/// - SeeAlso: Thompson, "Regular Expression Search Algorithm", 1968.
struct ModuleExpression: Sendable {
    private enum Step {
        /// Any byte of a set.
        case byte([Bool])
        /// On at both places, relative to this one.
        case split(Int, Int)
        case jump(Int)
        case start
        case end
        case match
    }

    private static let stepLimit = 1000

    private let steps: [Step]

    /// Compiles an expression; nil if it is none, too long, or uses more than is read.
    init?(_ text: String) {
        var compiler = Compiler(rest: Array(text.utf8)[...])
        guard let steps = compiler.alternatives(depth: 0), compiler.rest.isEmpty else { return nil }
        self.steps = steps + [.match]
    }

    /// Whether it matches from the name's beginning on.
    func matches(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        var states = [0]
        for position in 0...bytes.count {
            let (open, isMatch) = closure(
                states,
                isStart: position == 0,
                isEnd: position == bytes.count
            )
            if isMatch { return true }
            guard position < bytes.count else { break }
            states = open.filter { index in
                if case .byte(let set) = steps[index] { set[Int(bytes[position])] } else { false }
            }.map { $0 + 1 }
        }
        return false
    }

    /// All states that are reached without taking a byte.
    private func closure(_ states: [Int], isStart: Bool, isEnd: Bool) -> ([Int], isMatch: Bool) {
        var seen = [Bool](repeating: false, count: steps.count)
        var reached: [Int] = []
        var waiting = states
        while let index = waiting.popLast() {
            guard !seen[index] else { continue }
            seen[index] = true
            switch steps[index] {
            case .byte: reached.append(index)
            case .split(let first, let second): waiting += [index + first, index + second]
            case .jump(let distance): waiting.append(index + distance)
            case .start: if isStart { waiting.append(index + 1) }
            case .end: if isEnd { waiting.append(index + 1) }
            case .match: return ([], true)
            }
        }
        return (reached, false)
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
            if take(".") { return [.byte([Bool](repeating: true, count: 256))] }
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
        private mutating func single() -> [Bool]? {
            guard let byte = rest.popFirst(), !Array("*+?{})]".utf8).contains(byte) else {
                return nil
            }
            guard byte == UInt8(ascii: "\\") else { return Self.set { $0 == byte } }
            guard let kind = rest.popFirst() else { return nil }
            func isDigit(_ byte: UInt8) -> Bool {
                Unicode.Scalar(byte).properties.numericType != nil
            }
            func isWord(_ byte: UInt8) -> Bool {
                byte == UInt8(ascii: "_") || Character(Unicode.Scalar(byte)).isLetter
                    || isDigit(byte)
            }
            switch kind {
            case UInt8(ascii: "d"): return Self.set { $0 < 0x80 && isDigit($0) }
            case UInt8(ascii: "w"): return Self.set { $0 < 0x80 && isWord($0) }
            case UInt8(ascii: "s"): return Self.set { $0 == 0x20 || (0x09...0x0D).contains($0) }
            default:
                // An escaped letter or digit has a meaning that is not read.
                return kind < 0x80 && !isWord(kind) ? Self.set { $0 == kind } : nil
            }
        }

        private mutating func bracket() -> [Bool]? {
            let isInverted = take("^")
            var set = [Bool](repeating: false, count: 256)
            var isEmpty = true
            while isEmpty || !take("]") {
                isEmpty = false
                guard let low = rest.first, let lower = single() else { return nil }
                if low != UInt8(ascii: "\\"), take("-") {
                    guard let high = rest.popFirst(), high >= low, high != UInt8(ascii: "]") else {
                        return nil
                    }
                    for byte in low...high { set[Int(byte)] = true }
                } else {
                    for index in 0..<256 where lower[index] { set[index] = true }
                }
            }
            return isInverted ? set.map { !$0 } : set
        }

        private static func set(_ contains: (UInt8) -> Bool) -> [Bool] {
            (0..<256).map { contains(UInt8($0)) }
        }
    }
}
