/// Decides which tokens of which texts the next pass computes.
///
/// Texts that are being written come first, a token each, oldest first; what is left of a pass goes to
/// prompts, in pieces, in the order in which they came. A text keeps its place until it ends, unless pages
/// run out: then the one that came last gives its pages back and is computed anew later.
///
/// Pure: no clock, no model. Texts are known by numbers that never come again.
struct Scheduler {
    /// What a pass takes.
    struct Limits: Equatable {
        /// Tokens of a pass.
        var rows: Int
        /// Texts that have pages at the same time.
        var sequences: Int
    }

    /// Some tokens of one text.
    struct Share {
        let text: Int
        /// The text's place among those that have pages.
        let place: Int
        /// Which tokens, counted from the text's first.
        let tokens: Range<Int>
        /// Whether what follows the last of them is asked for.
        let isLast: Bool
        /// Pages that the text got for them, by their index.
        let newPages: [(index: Int, page: Int)]
    }

    private struct Text {
        var tokens: [Int32]
        /// Tokens whose keys and values are in pages.
        var computed = 0
        var pages: [Int] = []
        /// Pages that the decoder was told of.
        var toldPages = 0
        /// The number of what the last full page and those before it hold.
        var publishedNumber = PagePool.beginning
        var publishedPages = 0
        /// Its place among those that have pages; nil while it waits.
        var place: Int?
    }

    let limits: Limits
    private(set) var pool: PagePool
    private var texts: [Int: Text] = [:]
    /// Texts without pages, in the order in which they get them.
    private var waiting: [Int] = []
    /// Texts with pages, oldest first.
    private var running: [Int] = []
    private var freePlaces: [Int]
    /// Tokens whose computation a known beginning saved.
    private(set) var reusedTokenCount = 0
    /// Times that a text gave its pages back.
    private(set) var preemptionCount = 0

    /// Texts that wait for a place.
    var waitingCount: Int { waiting.count }
    /// Texts that have pages.
    var runningCount: Int { running.count }
    /// Whether nothing is to be computed.
    var isIdle: Bool { texts.isEmpty }

    init(limits: Limits, pool: PagePool) {
        self.limits = limits
        self.pool = pool
        freePlaces = (0..<limits.sequences).reversed()
    }

    /// Adds a text of at least one token.
    mutating func add(_ text: Int, tokens: [Int32]) {
        precondition(!tokens.isEmpty && texts[text] == nil, "text \(text)")
        texts[text] = Text(tokens: tokens)
        waiting.append(text)
    }

    /// Adds the token that was drawn behind a text's last one.
    mutating func append(_ token: Int32, to text: Int) { texts[text]?.tokens.append(token) }

    /// Forgets a text, and gives its pages back.
    mutating func remove(_ text: Int) {
        guard texts[text] != nil else { return }
        releasePages(of: text)
        running.removeAll { $0 == text }
        waiting.removeAll { $0 == text }
        texts[text] = nil
    }

    /// A token of a text.
    func tokens(_ share: Share) -> ArraySlice<Int32> {
        texts[share.text]?.tokens[share.tokens] ?? []
    }

    /// The next pass: shares of texts, each text's once; none if there is nothing to compute.
    mutating func plan() -> [Share] {
        var shares: [Share] = []
        var rows = limits.rows
        // Those that write need a row each; of what is left, prompts take pieces.
        for wantsOne in [true, false] {
            for text in running where (pendingCount(of: text) == 1) == wantsOne {
                guard rows > 0, running.contains(text) else { continue }
                if let share = share(of: text, rows: rows, among: &shares) {
                    rows -= share.tokens.count
                    shares.append(share)
                }
            }
        }
        while rows > 0, let text = waiting.first, let place = freePlaces.last,
            admit(text, to: place)
        {
            guard let share = share(of: text, rows: rows, among: &shares) else { break }
            rows -= share.tokens.count
            shares.append(share)
        }
        return shares
    }

    /// Says that a pass computed its shares.
    mutating func finish(_ shares: [Share]) {
        for share in shares {
            guard var text = texts[share.text], text.place == share.place else { continue }
            text.computed = share.tokens.upperBound
            while (text.publishedPages + 1) * pool.pageRows <= text.computed {
                let start = text.publishedPages * pool.pageRows
                text.publishedNumber = pool.publish(
                    text.pages[text.publishedPages],
                    tokens: Array(text.tokens[start..<start + pool.pageRows]),
                    behind: text.publishedNumber
                )
                text.publishedPages += 1
            }
            texts[share.text] = text
        }
    }

    private func pendingCount(of text: Int) -> Int {
        texts[text].map { $0.tokens.count - $0.computed } ?? 0
    }

    /// Gives a waiting text a place, if there are pages for all of its tokens.
    private mutating func admit(_ number: Int, to place: Int) -> Bool {
        guard var text = texts[number] else { return false }
        let (pages, last) = pool.takeBeginning(of: text.tokens)
        let needed = (text.tokens.count + pool.pageRows) / pool.pageRows - pages.count
        guard pool.availableCount >= needed else {
            pool.release(pages)
            return false
        }
        text.pages = pages
        text.computed = pages.count * pool.pageRows
        text.publishedPages = pages.count
        text.publishedNumber = last
        text.place = place
        texts[number] = text
        reusedTokenCount += text.computed
        freePlaces.removeLast()
        waiting.removeFirst()
        running.append(number)
        return true
    }

    /// As much of a text as fits; nil if it has to wait for pages, or gave its own back.
    ///
    /// Texts that give pages back leave `shares`.
    private mutating func share(
        of number: Int,
        rows: Int,
        among shares: inout [Share]
    ) -> Share? {
        guard let pending = texts[number] else { return nil }
        let end = min(pending.tokens.count, pending.computed + rows)
        while let text = texts[number], text.pages.count * pool.pageRows < end {
            if let page = pool.take() {
                texts[number]?.pages.append(page)
            } else if let last = running.last {
                preempt(last)
                shares.removeAll { $0.text == last }
                if last == number { return nil }
            }
        }
        guard let text = texts[number], let place = text.place, text.computed < end else {
            return nil
        }
        let told = text.toldPages
        texts[number]?.toldPages = text.pages.count
        return Share(
            text: number,
            place: place,
            tokens: text.computed..<end,
            isLast: end == text.tokens.count,
            newPages: text.pages.enumerated().dropFirst(told).map { ($0.offset, $0.element) }
        )
    }

    /// Takes a text's pages; it waits before all others.
    private mutating func preempt(_ number: Int) {
        preemptionCount += 1
        releasePages(of: number)
        running.removeAll { $0 == number }
        waiting.insert(number, at: 0)
    }

    private mutating func releasePages(of number: Int) {
        guard let text = texts[number], let place = text.place else { return }
        pool.release(text.pages)
        freePlaces.append(place)
        texts[number] = Text(tokens: text.tokens)
    }
}
