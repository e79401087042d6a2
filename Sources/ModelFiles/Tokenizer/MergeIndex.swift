/// Merge ranks by pairs of token numbers, and the merging itself.
struct MergeIndex: Sendable {
    private struct Merge: Sendable {
        let rank: Int32
        let result: Int32
    }

    private let merges: [UInt64: Merge]
    private let byteTokens: [Int32]
    private let wholeWords: [[UInt8]: Int32]

    init(
        vocabulary: [String],
        merges list: [(String, String)],
        ignoresMerges: Bool
    ) throws(ModelFileError) {
        var ids: [String: Int32] = [:]
        for (id, token) in vocabulary.enumerated() {
            ids[token] = Int32(id)
        }
        byteTokens = ByteAlphabet.characters.map { ids[String($0)] ?? -1 }
        var merges: [UInt64: Merge] = [:]
        merges.reserveCapacity(list.count)
        for (rank, (left, right)) in list.enumerated() {
            guard let a = ids[left], let b = ids[right], let result = ids[left + right] else {
                throw ModelFileError(
                    .malformed,
                    "tokenizer: merge \(rank) (\(left) + \(right)) names a token that is not there"
                )
            }
            let pair = Self.key(a, b)
            if merges[pair] == nil {
                merges[pair] = Merge(rank: Int32(rank), result: result)
            }
        }
        self.merges = merges
        var words: [[UInt8]: Int32] = [:]
        if ignoresMerges {
            for (token, id) in ids {
                if let bytes = ByteAlphabet.bytes(of: token) {
                    words[bytes] = id
                }
            }
        }
        wholeWords = words
    }

    /// Merges a piece's bytes: lowest rank first, leftmost first.
    ///
    /// Bytes without a token are dropped.
    func encode(_ bytes: [UInt8]) -> [Int32] {
        if let whole = wholeWords[bytes] {
            return [whole]
        }
        var tokens = bytes.map { byteTokens[Int($0)] }.filter { $0 >= 0 }
        guard tokens.count > 64 else {
            mergeShort(&tokens)
            return tokens
        }
        return mergeLong(tokens)
    }

    private func mergeShort(_ tokens: inout [Int32]) {
        while tokens.count > 1 {
            var best: Merge?
            var position = 0
            for index in 0..<tokens.count - 1 {
                if let merge = merges[Self.key(tokens[index], tokens[index + 1])],
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
        var heap = PairHeap()
        func push(_ left: Int, _ tokens: [Int32], _ next: [Int], _ heap: inout PairHeap) {
            let right = next[left]
            if right < tokens.count, let merge = merges[Self.key(tokens[left], tokens[right])] {
                heap.insert(
                    .init(rank: merge.rank, left: left, a: tokens[left], b: tokens[right])
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
                let merge = merges[Self.key(candidate.a, candidate.b)]
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

    private static func key(_ a: Int32, _ b: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: a)) << 32 | UInt64(UInt32(bitPattern: b))
    }
}

/// A binary heap of merge candidates, lowest rank and then leftmost first.
private struct PairHeap {
    struct Candidate {
        let rank: Int32
        let left: Int
        let a: Int32
        let b: Int32

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
