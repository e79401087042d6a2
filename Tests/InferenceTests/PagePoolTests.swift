internal import Testing

@testable internal import Inference

struct PagePoolTests {
    /// Pages of two tokens for all of `tokens`, made known as far as they are full.
    private static func fill(_ pool: inout PagePool, _ tokens: [Int32]) -> [Int] {
        var (pages, number) = pool.takeBeginning(of: tokens)
        while pages.count * 2 < tokens.count {
            guard let page = pool.take() else { return pages }
            let start = pages.count * 2
            pages.append(page)
            if start + 2 <= tokens.count {
                number = pool.publish(
                    page,
                    tokens: Array(tokens[start..<start + 2]),
                    behind: number
                )
            }
        }
        return pages
    }

    @Test func givesEachPageOnce() {
        var pool = PagePool(count: 3, pageRows: 2)
        let taken = (0..<3).compactMap { _ in pool.take() }
        #expect(Set(taken) == [0, 1, 2])
        #expect(pool.take() == nil && pool.availableCount == 0)
        pool.release(taken)
        #expect(pool.availableCount == 3)
    }

    @Test func textsShareTheirBeginning() {
        var pool = PagePool(count: 8, pageRows: 2)
        let first = Self.fill(&pool, [1, 2, 3, 4, 5])
        let second = Self.fill(&pool, [1, 2, 3, 4, 6, 7])
        #expect(first[0..<2] == second[0..<2])
        #expect(first[2] != second[2])
        #expect(pool.availableCount == 4)
        // The same tokens behind another beginning are not the same keys.
        let third = Self.fill(&pool, [9, 9, 3, 4, 5])
        #expect(Set(third).isDisjoint(with: first))
        pool.release(first)
        pool.release(second)
        pool.release(third)
        #expect(pool.availableCount == 8)
    }

    @Test func theLastTokenIsComputedAnew() {
        var pool = PagePool(count: 8, pageRows: 2)
        pool.release(Self.fill(&pool, [1, 2, 3, 4]))
        #expect(pool.takeBeginning(of: [1, 2, 3, 4]).pages.count == 1)
        #expect(pool.takeBeginning(of: [1, 2, 3, 4, 5]).pages.count == 2)
    }

    @Test func forgetsWhatWasUsedLongestAgo() {
        var pool = PagePool(count: 4, pageRows: 2)
        pool.release(Self.fill(&pool, [1, 2, 3, 4]))
        pool.release(Self.fill(&pool, [5, 6, 7, 8]))
        // Two pages are wanted: the older text's end goes first, then its beginning.
        #expect(pool.take() != nil)
        #expect(pool.takeBeginning(of: [1, 2, 3, 4, 0]).pages.count == 1)
        #expect(pool.takeBeginning(of: [5, 6, 7, 8, 0]).pages.count == 2)
        #expect(pool.take() == nil)
    }

    @Test func anEndWithoutItsBeginningIsNotFound() {
        var pool = PagePool(count: 2, pageRows: 2)
        let pages = Self.fill(&pool, [1, 2, 3, 4])
        pool.release([pages[1]])
        pool.release([pages[0]])
        // The beginning alone is forgotten only after the end; a new one has another number.
        _ = pool.take()
        _ = pool.take()
        #expect(pool.takeBeginning(of: [1, 2, 3, 4, 5]).pages.isEmpty)
    }
}
