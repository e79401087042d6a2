/// Byte pair encoding: merges by rank, and the merging itself.
struct BytePairModel: Sendable {
    /// What tokenizer.json's `model` says beside vocabulary and merges.
    struct Options: Sendable, Equatable {
        /// A character without a token becomes the tokens `<0x00>`…`<0xFF>` of its bytes.
        var hasByteFallback = false
        /// What stands for a character without a token; nil drops it.
        var unknownToken: String?
        /// Unknown characters side by side are one token.
        var fusesUnknown = false
        /// A piece that is a token is not merged up to it.
        var ignoresMerges = false
    }

    let options: Options
    /// Whether pieces are bytes under stand-in characters, rather than characters.
    private let isByteLevel: Bool
    private let merges: PairTable
    /// Tokens by UTF-8 of the piece they stand for.
    private let tokens: TokenTable
    /// Tokens of single bytes: of the stand-in characters, or for falling back.
    private let byteTokens: [Int32]
    private let unknown: Int32?

    /// `vocabulary`: The tokens that merges and pieces can become, with their numbers; others, as most
    /// added tokens are, are none of the model's.
    init(
        vocabulary: [(text: String, id: Int32)],
        merges list: [(String, String)],
        isByteLevel: Bool,
        options: Options
    ) throws(ModelFileError) {
        self.options = options
        self.isByteLevel = isByteLevel
        var ids = TokenTable(capacity: vocabulary.count)
        for (token, id) in vocabulary { ids.insert(token, id) }
        var merges = PairTable(capacity: list.count)
        for (rank, (left, right)) in list.enumerated() {
            guard let a = ids[left], let b = ids[right], let result = ids[left + right] else {
                throw ModelFileError(
                    .malformed,
                    "tokenizer: merge \(rank) (\(left) + \(right)) names a token that is not there"
                )
            }
            // Of a pair that is there twice, the library keeps the last.
            merges.insert(a, b, .init(rank: Int32(rank), result: result))
        }
        self.merges = merges
        if isByteLevel {
            byteTokens = ByteAlphabet.characters.map { ids[String($0)] ?? -1 }
            var words = TokenTable(capacity: options.ignoresMerges ? vocabulary.count : 0)
            if options.ignoresMerges {
                for (token, id) in vocabulary {
                    guard let bytes = ByteAlphabet.bytes(of: token) else { continue }
                    bytes.withUnsafeBufferPointer { _ = words.insert($0, id) }
                }
            }
            tokens = words
        } else {
            byteTokens = (0..<256).map { ids[ByteAlphabet.fallbackToken(of: $0)] ?? -1 }
            tokens = ids
        }
        unknown = options.unknownToken.flatMap { ids[$0] }
        if let token = options.unknownToken, unknown == nil, !token.isEmpty {
            throw ModelFileError(
                .malformed,
                "tokenizer: the unknown token \(token) is not in the vocabulary"
            )
        }
    }

    /// Merges a piece: lowest rank first, leftmost first.
    func encode(_ piece: UnsafeBufferPointer<UInt8>) -> [Int32] {
        if options.ignoresMerges, let whole = tokens[piece] { return [whole] }
        var symbols = isByteLevel ? bytes(piece) : characters(piece)
        guard symbols.count > 64 else {
            mergeShort(&symbols)
            return symbols
        }
        return mergeLong(symbols)
    }

    private func bytes(_ piece: UnsafeBufferPointer<UInt8>) -> [Int32] {
        var symbols: [Int32] = []
        symbols.reserveCapacity(piece.count)
        var pending = PendingUnknown()
        var index = 0
        while index < piece.count {
            // A character's bytes are looked up one by one, each under its own stand-in.
            let token = byteTokens[Int(piece[index])]
            index += 1
            if token >= 0 {
                pending.flush(&symbols)
                symbols.append(token)
            } else if let unknown {
                pending.add(unknown, fuses: options.fusesUnknown, &symbols)
            }
        }
        pending.flush(&symbols)
        return symbols
    }

    private func characters(_ piece: UnsafeBufferPointer<UInt8>) -> [Int32] {
        var symbols: [Int32] = []
        var pending = PendingUnknown()
        var start = 0
        while start < piece.count {
            var end = start + 1
            while end < piece.count, piece[end] & 0xC0 == 0x80 { end += 1 }
            let character = UnsafeBufferPointer(rebasing: piece[start..<end])
            start = end
            if let token = tokens[character] {
                pending.flush(&symbols)
                symbols.append(token)
            } else if options.hasByteFallback,
                character.allSatisfy({ byteTokens[Int($0)] >= 0 })
            {
                // As in the library, an unknown token that waits goes after these.
                for byte in character { symbols.append(byteTokens[Int(byte)]) }
            } else if let unknown {
                pending.add(unknown, fuses: options.fusesUnknown, &symbols)
            }
        }
        pending.flush(&symbols)
        return symbols
    }

    /// An unknown token that further unknown characters may still join.
    private struct PendingUnknown {
        private var token: Int32?

        mutating func add(_ unknown: Int32, fuses: Bool, _ symbols: inout [Int32]) {
            if !fuses { flush(&symbols) }
            token = unknown
        }

        mutating func flush(_ symbols: inout [Int32]) {
            if let token { symbols.append(token) }
            token = nil
        }
    }

    private func mergeShort(_ tokens: inout [Int32]) {
        while tokens.count > 1 {
            var best: PairTable.Merge?
            var position = 0
            for index in 0..<tokens.count - 1 {
                if let merge = merges[tokens[index], tokens[index + 1]],
                    merge.rank < best?.rank ?? .max
                {
                    best = merge
                    position = index
                }
            }
            guard let best else {
                return
            }
            tokens[position] = best.result
            tokens.remove(at: position + 1)
        }
    }

    /// The same result in O(n log n): a long run of one character must not take quadratic time.
    private func mergeLong(_ initial: [Int32]) -> [Int32] {
        var tokens = initial
        var next = (0..<tokens.count).map { $0 + 1 }
        var previous = (0..<tokens.count).map { $0 - 1 }
        var heap = MergeHeap()
        func push(_ left: Int, _ tokens: [Int32], _ next: [Int], _ heap: inout MergeHeap) {
            let right = next[left]
            if right < tokens.count, let merge = merges[tokens[left], tokens[right]] {
                heap.insert(
                    .init(
                        rank: merge.rank,
                        left: left,
                        a: Int(tokens[left]),
                        b: Int(tokens[right])
                    )
                )
            }
        }
        for index in 0..<tokens.count - 1 {
            push(index, tokens, next, &heap)
        }
        while let candidate = heap.removeFirst() {
            let left = candidate.left
            let right = next[left]
            guard tokens[left] == candidate.a, right < tokens.count, tokens[right] == candidate.b,
                let merge = merges[tokens[left], tokens[right]]
            else {
                continue
            }
            tokens[left] = merge.result
            tokens[right] = -1
            next[left] = next[right]
            if next[left] < tokens.count {
                previous[next[left]] = left
            }
            push(left, tokens, next, &heap)
            if previous[left] >= 0 {
                push(previous[left], tokens, next, &heap)
            }
        }
        return tokens.filter { $0 >= 0 }
    }
}

/// A binary heap of merge candidates, lowest rank and then leftmost first.
struct MergeHeap {
    struct Candidate {
        let rank: Int32
        let left: Int
        /// What stood on both sides when the candidate was found; it is void if that has changed.
        let a: Int
        let b: Int

        static func precedes(_ x: Candidate, _ y: Candidate) -> Bool {
            (x.rank, x.left) < (y.rank, y.left)
        }
    }

    private var items: [Candidate] = []

    mutating func insert(_ item: Candidate) {
        items.append(item)
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Candidate.precedes(items[child], items[parent]) else {
                return
            }
            items.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() -> Candidate? {
        guard let first = items.first else {
            return nil
        }
        let last = items.removeLast()
        guard !items.isEmpty else {
            return first
        }
        items[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < items.count {
                if Candidate.precedes(items[child], items[least]) {
                    least = child
                }
            }
            if least == parent {
                return first
            }
            items.swapAt(parent, least)
            parent = least
        }
    }
}
