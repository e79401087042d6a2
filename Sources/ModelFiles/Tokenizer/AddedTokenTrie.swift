/// Finds the longest of some texts at a position.
struct AddedTokenTrie: Sendable {
    private struct Node {
        var value: Int32 = -1
        var children: [UInt8: Int32] = [:]
    }

    private var nodes = [Node()]
    /// The children of the root: most positions of a text end here.
    private var first = [Int32](repeating: -1, count: 256)

    /// Of a text that is there twice, the last value counts.
    init(_ entries: [(text: String, value: Int)]) {
        for (text, value) in entries where !text.isEmpty {
            var node = 0
            for byte in text.utf8 {
                if let child = nodes[node].children[byte] {
                    node = Int(child)
                } else {
                    nodes.append(Node())
                    nodes[node].children[byte] = Int32(nodes.count - 1)
                    node = nodes.count - 1
                }
            }
            nodes[node].value = Int32(value)
        }
        for (byte, child) in nodes[0].children { first[Int(byte)] = child }
    }

    var isEmpty: Bool { nodes.count == 1 }

    func longestMatch(
        in text: UnsafeBufferPointer<UInt8>,
        at start: Int
    ) -> (end: Int, value: Int)? {
        var node = Int(first[Int(text[start])])
        guard node >= 0 else { return nil }
        var best: (end: Int, value: Int)?
        var position = start + 1
        while true {
            if nodes[node].value >= 0 { best = (position, Int(nodes[node].value)) }
            guard position < text.count, let child = nodes[node].children[text[position]] else {
                return best
            }
            node = Int(child)
            position += 1
        }
    }
}

/// Finds added tokens in a text by the library's rules: the leftmost, then the longest; white space
/// around them taken in, or words around them sparing them, as each asks for.
struct AddedTokenMatcher: Sendable {
    /// A stretch of text, or an added token in its place.
    struct Span {
        let range: Range<Int>
        let token: Int32?
    }

    private let trie: AddedTokenTrie
    private let tokens: [Tokenizer.AddedToken]

    /// `form`: What of a token's text stands in the text that is searched.
    init(_ tokens: [Tokenizer.AddedToken], form: (String) -> String = { $0 }) {
        self.tokens = tokens
        trie = AddedTokenTrie(tokens.enumerated().map { (form($1.text), $0) })
    }

    var isEmpty: Bool { trie.isEmpty }

    func spans(of text: UnsafeBufferPointer<UInt8>) -> [Span] {
        guard !isEmpty else { return [Span(range: 0..<text.count, token: nil)] }
        var spans: [Span] = []
        var end = 0
        var position = 0
        while position < text.count {
            guard let match = trie.longestMatch(in: text, at: position) else {
                position += 1
                continue
            }
            let token = tokens[match.value]
            var start = position
            var stop = match.end
            position = stop
            if token.isSingleWord,
                Self.isWord(Self.scalar(before: start, in: text))
                    || Self.isWord(Self.scalar(at: stop, in: text))
            {
                continue
            }
            if token.stripsLeft {
                while let (scalar, length) = Self.scalar(before: start, in: text),
                    scalar.properties.isWhitespace
                {
                    start -= length
                }
                start = max(start, end)
            }
            if token.stripsRight {
                while let (scalar, length) = Self.scalar(at: stop, in: text),
                    scalar.properties.isWhitespace
                {
                    stop += length
                }
            }
            if end < start { spans.append(Span(range: end..<start, token: nil)) }
            spans.append(Span(range: start..<max(start, stop), token: token.id))
            // As in the library: a token within white space that another has taken in gives it back.
            end = stop
        }
        if end < text.count { spans.append(Span(range: end..<text.count, token: nil)) }
        return spans
    }

    private static func isWord(_ found: (scalar: Unicode.Scalar, length: Int)?) -> Bool {
        found.map { ScalarSet.joinedWord.contains($0.scalar.value) } ?? false
    }

    private static func scalar(
        at start: Int,
        in text: UnsafeBufferPointer<UInt8>
    ) -> (scalar: Unicode.Scalar, length: Int)? {
        guard start < text.count else { return nil }
        var end = start + 1
        while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
        let bytes = UnsafeBufferPointer(rebasing: text[start..<end])
        guard let scalar = String(decoding: bytes, as: UTF8.self).unicodeScalars.first else {
            return nil
        }
        return (scalar, end - start)
    }

    private static func scalar(
        before end: Int,
        in text: UnsafeBufferPointer<UInt8>
    ) -> (scalar: Unicode.Scalar, length: Int)? {
        guard end > 0 else { return nil }
        var start = end - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return scalar(at: start, in: text)
    }
}
