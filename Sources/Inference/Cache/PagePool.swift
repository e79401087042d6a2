/// The pages of a key-value cache: whose they are, and which of them hold beginnings of texts that
/// another text may begin with, too.
///
/// A page that is full is known by its tokens and by the page before it, whatever text it was computed
/// for; when nobody uses it, it stays until its room is needed, the one used longest ago first.
struct PagePool {
    /// What a full page holds: its tokens behind what an earlier page holds.
    private struct Content: Hashable {
        let behind: Int
        let tokens: [Int32]
    }

    private struct Page {
        var users = 0
        /// What it holds; nil while it is not full, or where another page is known to hold the same.
        var content: Content?
        /// When it was used last, by counting.
        var lastUse = 0
    }

    /// The number of an empty beginning.
    static let beginning = 0

    /// Tokens of a page.
    let pageRows: Int
    private var pages: [Page]
    /// Pages without users and content.
    private var free: [Int]
    /// The page of each content that is known, and its number, which no other content ever has.
    private var known: [Content: (page: Int, number: Int)] = [:]
    private var nextNumber = PagePool.beginning + 1
    private var uses = 0

    /// Pages that nobody uses.
    private(set) var availableCount: Int
    /// Pages in all.
    var count: Int { pages.count }

    init(count: Int, pageRows: Int) {
        self.pageRows = pageRows
        pages = Array(repeating: Page(), count: count)
        free = (0..<count).reversed()
        availableCount = count
    }

    /// Takes the pages that hold the longest known beginning of `tokens`, but never all of them: the last
    /// token's logits are yet to be computed.
    ///
    /// Returns them and the number of what the last one holds.
    mutating func takeBeginning(of tokens: [Int32]) -> (pages: [Int], number: Int) {
        var found: [Int] = []
        var number = Self.beginning
        while (found.count + 1) * pageRows < tokens.count {
            let start = found.count * pageRows
            let content = Content(
                behind: number,
                tokens: Array(tokens[start..<start + pageRows])
            )
            guard let (page, next) = known[content] else { break }
            use(page)
            found.append(page)
            number = next
        }
        return (found, number)
    }

    /// Takes an empty page; nil if all are in use.
    mutating func take() -> Int? {
        if let page = free.popLast() {
            use(page)
            return page
        }
        // Few are unused and known at a time where pages are short of room.
        let oldest = pages.indices.filter { pages[$0].users == 0 }
            .min { pages[$0].lastUse < pages[$1].lastUse }
        guard let oldest else { return nil }
        forget(oldest)
        use(oldest)
        return oldest
    }

    /// Makes a full page's tokens known, behind those numbered `behind`; returns the number of both.
    mutating func publish(_ page: Int, tokens: [Int32], behind: Int) -> Int {
        let content = Content(behind: behind, tokens: tokens)
        if let (_, number) = known[content] { return number }
        let number = nextNumber
        nextNumber += 1
        known[content] = (page, number)
        pages[page].content = content
        return number
    }

    /// Gives pages back, those of a text's end first: its beginning stays longest.
    mutating func release(_ released: [Int]) {
        for page in released.reversed() {
            pages[page].users -= 1
            precondition(pages[page].users >= 0, "page \(page) is released twice")
            guard pages[page].users == 0 else { continue }
            availableCount += 1
            uses += 1
            pages[page].lastUse = uses
            if pages[page].content == nil { free.append(page) }
        }
    }

    private mutating func use(_ page: Int) {
        if pages[page].users == 0 { availableCount -= 1 }
        pages[page].users += 1
    }

    private mutating func forget(_ page: Int) {
        if let content = pages[page].content { known[content] = nil }
        pages[page].content = nil
    }
}
