/// SentencePiece's BPE: two neighbours become one piece if the vocabulary has it, the highest score
/// first, then the leftmost.
struct PieceScoreModel: Sendable {
    /// What a piece of the vocabulary is for; SentencePiece's and GGUF's numbers.
    enum Kind: Int, Sendable {
        case normal = 1, unknown, control, userDefined, unused, byte
    }

    let scores: [Float]
    let kinds: [Kind]
    let unknown: Int32?
    private let tokens: TokenTable
    private let byteTokens: [Int32]?
    private let userDefined: AddedTokenTrie
    /// Ranks by score: the order in which merges are made.
    private let ranks: [Int32]

    /// `vocabulary` has as many tokens as there are scores and kinds.
    init(vocabulary: [String], scores: [Float], kinds: [Kind]) {
        precondition(vocabulary.count == scores.count && scores.count == kinds.count)
        self.scores = scores
        self.kinds = kinds
        unknown = kinds.firstIndex(of: .unknown).map { Int32($0) }
        var tokens = TokenTable(capacity: vocabulary.count)
        var own: [(text: String, value: Int)] = []
        for (id, token) in vocabulary.enumerated() {
            switch kinds[id] {
            case .normal, .unused: tokens.insert(token, Int32(id))
            case .userDefined:
                tokens.insert(token, Int32(id))
                own.append((token, id))
            // Control tokens and bytes are not found in a text.
            case .unknown, .control, .byte: break
            }
        }
        self.tokens = tokens
        userDefined = AddedTokenTrie(own)
        var bytes = [Int32](repeating: -1, count: 256)
        for (id, kind) in kinds.enumerated() where kind == .byte {
            if let byte = ByteAlphabet.fallbackByte(of: Array(vocabulary[id].utf8)) {
                bytes[Int(byte)] = Int32(id)
            }
        }
        byteTokens = bytes.contains(-1) ? nil : bytes
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        var ranks = [Int32](repeating: 0, count: scores.count)
        for (place, id) in order.enumerated() {
            let isTie = place > 0 && scores[order[place - 1]] == scores[id]
            ranks[id] = isTie ? ranks[order[place - 1]] : Int32(place)
        }
        self.ranks = ranks
    }

    /// Whether every byte has a token, so that nothing is unknown.
    var hasByteFallback: Bool { byteTokens != nil }

    func encode(_ text: UnsafeBufferPointer<UInt8>) -> [Int32] {
        var merger = PieceMerger(symbols(of: text))
        for index in merger.symbols.indices.dropFirst() { propose(index - 1, in: text, &merger) }
        while let candidate = merger.heap.removeFirst() {
            let left = candidate.left
            guard !merger.symbols[left].isEmpty, merger.symbols[left].lowerBound == candidate.a,
                let right = merger.next(left), merger.symbols[right].upperBound == candidate.b,
                !merger.symbols[right].isEmpty
            else {
                continue
            }
            merger.join(left, right)
            propose(left, in: text, &merger)
            if let before = merger.previous(left) { propose(before, in: text, &merger) }
        }
        var output: [Int32] = []
        var endsUnknown = false
        for symbol in merger.symbols where !symbol.isEmpty {
            append(symbol, of: text, merger.parts, to: &output, &endsUnknown)
        }
        return output
    }

    /// Characters and user-defined pieces, which are not merged.
    private func symbols(of text: UnsafeBufferPointer<UInt8>) -> [(Range<Int>, isWhole: Bool)] {
        var symbols: [(Range<Int>, isWhole: Bool)] = []
        symbols.reserveCapacity(text.count)
        var start = 0
        while start < text.count {
            if let (end, _) = userDefined.longestMatch(in: text, at: start) {
                symbols.append((start..<end, true))
                start = end
                continue
            }
            var end = start + 1
            while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
            symbols.append((start..<end, false))
            start = end
        }
        return symbols
    }

    private func propose(
        _ left: Int,
        in text: UnsafeBufferPointer<UInt8>,
        _ merger: inout PieceMerger
    ) {
        guard let right = merger.next(left), !merger.isWhole[left], !merger.isWhole[right] else {
            return
        }
        let start = merger.symbols[left].lowerBound
        let end = merger.symbols[right].upperBound
        guard let token = tokens[UnsafeBufferPointer(rebasing: text[start..<end])] else { return }
        if kinds[Int(token)] == .unused {
            merger.parts[Array(text[start..<end])] = merger.symbols[left].count
        }
        merger.heap.insert(.init(rank: ranks[Int(token)], left: left, a: start, b: end))
    }

    /// A piece's token; an unused piece is taken apart again, an unknown one falls back to bytes.
    private func append(
        _ symbol: Range<Int>,
        of text: UnsafeBufferPointer<UInt8>,
        _ parts: [[UInt8]: Int],
        to output: inout [Int32],
        _ endsUnknown: inout Bool
    ) {
        var stack = [symbol]
        while let range = stack.popLast() {
            let bytes = UnsafeBufferPointer(rebasing: text[range])
            let token = tokens[bytes]
            if let token, kinds[Int(token)] == .unused,
                let middle = parts[Array(bytes)].map({ range.lowerBound + $0 })
            {
                stack.append(middle..<range.upperBound)
                stack.append(range.lowerBound..<middle)
            } else if let token {
                output.append(token)
                endsUnknown = false
            } else if let byteTokens {
                for byte in bytes { output.append(byteTokens[Int(byte)]) }
                endsUnknown = false
            } else if let unknown, !endsUnknown {
                // Unknown characters side by side are one token.
                output.append(unknown)
                endsUnknown = true
            }
        }
    }
}

/// Symbols as a linked list, and the candidates to join.
struct PieceMerger {
    /// Bytes of the text; empty once joined to the one before.
    private(set) var symbols: [Range<Int>]
    let isWhole: [Bool]
    private var following: [Int]
    private var preceding: [Int]
    var heap = MergeHeap()
    /// The lengths of the first halves that unused pieces were joined of last.
    var parts: [[UInt8]: Int] = [:]

    init(_ list: [(Range<Int>, isWhole: Bool)]) {
        symbols = list.map(\.0)
        isWhole = list.map(\.isWhole)
        following = list.indices.map { $0 + 1 }
        preceding = list.indices.map { $0 - 1 }
    }

    func next(_ index: Int) -> Int? {
        following[index] < symbols.count ? following[index] : nil
    }

    func previous(_ index: Int) -> Int? { preceding[index] < 0 ? nil : preceding[index] }

    mutating func join(_ left: Int, _ right: Int) {
        symbols[left] = symbols[left].lowerBound..<symbols[right].upperBound
        symbols[right] = symbols[right].upperBound..<symbols[right].upperBound
        following[left] = following[right]
        if following[left] < symbols.count { preceding[following[left]] = left }
    }
}
