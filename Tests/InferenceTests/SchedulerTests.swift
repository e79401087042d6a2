internal import Testing

@testable internal import Inference

struct SchedulerTests {
    private static func scheduler(
        rows: Int = 8,
        sequences: Int = 4,
        pages: Int = 32,
        pageRows: Int = 2
    ) -> Scheduler {
        Scheduler(
            limits: .init(rows: rows, sequences: sequences),
            pool: PagePool(count: pages, pageRows: pageRows)
        )
    }

    private static func tokens(_ first: Int, _ count: Int) -> [Int32] {
        (0..<count).map { Int32(first + $0) }
    }

    /// Runs a pass: every text that is through gets a token behind it.
    ///
    /// Returns texts and tokens.
    @discardableResult
    private static func pass(_ scheduler: inout Scheduler) -> [Int: Range<Int>] {
        let shares = scheduler.plan()
        scheduler.finish(shares)
        for share in shares where share.isLast { scheduler.append(7, to: share.text) }
        return Dictionary(uniqueKeysWithValues: shares.map { ($0.text, $0.tokens) })
    }

    @Test func writesFirstAndReadsPromptsWithTheRest() {
        var scheduler = Self.scheduler()
        scheduler.add(1, tokens: Self.tokens(100, 3))
        scheduler.add(2, tokens: Self.tokens(200, 12))
        #expect(Self.pass(&scheduler) == [1: 0..<3, 2: 0..<5])
        #expect(Self.pass(&scheduler) == [1: 3..<4, 2: 5..<12])
        #expect(Self.pass(&scheduler) == [1: 4..<5, 2: 12..<13])
    }

    @Test func textsWaitForAPlaceInTheirOrder() {
        var scheduler = Self.scheduler(sequences: 2)
        for text in 1...4 { scheduler.add(text, tokens: Self.tokens(text * 100, 2)) }
        #expect(Set(Self.pass(&scheduler).keys) == [1, 2])
        #expect(scheduler.waitingCount == 2)
        scheduler.remove(2)
        #expect(Set(Self.pass(&scheduler).keys) == [1, 3])
        scheduler.remove(1)
        scheduler.remove(3)
        #expect(Set(Self.pass(&scheduler).keys) == [4])
        scheduler.remove(4)
        #expect(scheduler.isIdle && scheduler.plan().isEmpty)
        #expect(scheduler.pool.availableCount == scheduler.pool.count)
    }

    @Test func placesAreOfOneTextAtATime() {
        var scheduler = Self.scheduler(sequences: 3)
        for text in 1...9 { scheduler.add(text, tokens: Self.tokens(text * 100, 2)) }
        var owners: [Int: Int] = [:]
        for _ in 0..<12 {
            let shares = scheduler.plan()
            #expect(Set(shares.map(\.place)).count == shares.count)
            for share in shares {
                if share.tokens.lowerBound > 0 { #expect(owners[share.place] == share.text) }
                owners[share.place] = share.text
            }
            scheduler.finish(shares)
            for share in shares where share.isLast {
                share.tokens.upperBound > 4
                    ? scheduler.remove(share.text) : scheduler.append(1, to: share.text)
            }
        }
        #expect(scheduler.isIdle)
    }

    @Test func theLastThatCameGivesItsPagesBack() {
        // Four pages of two: two texts of three tokens grow until there is room for one alone.
        var scheduler = Self.scheduler(pages: 5)
        scheduler.add(1, tokens: Self.tokens(100, 3))
        scheduler.add(2, tokens: Self.tokens(200, 3))
        #expect(Self.pass(&scheduler) == [1: 0..<3, 2: 0..<3])
        #expect(Self.pass(&scheduler) == [1: 3..<4, 2: 3..<4])
        // The fifth token of the older takes the last page; the younger one's does not fit.
        #expect(Self.pass(&scheduler) == [1: 4..<5])
        #expect(scheduler.preemptionCount == 1 && scheduler.waitingCount == 1)
        for _ in 0..<3 { Self.pass(&scheduler) }
        scheduler.remove(1)
        // It is computed anew, with the token that it had got, from the beginning that is still known.
        let again = Self.pass(&scheduler)
        #expect(again[2]?.upperBound == 5)
    }

    @Test func knownBeginningsAreNotComputedAgain() {
        var scheduler = Self.scheduler(rows: 16)
        scheduler.add(1, tokens: Self.tokens(100, 6) + [1])
        #expect(Self.pass(&scheduler) == [1: 0..<7])
        scheduler.add(2, tokens: Self.tokens(100, 6) + [2, 3])
        #expect(Self.pass(&scheduler) == [1: 7..<8, 2: 6..<8])
        #expect(scheduler.reusedTokenCount == 6)
    }

    @Test func everyTokenIsComputedOnceAndInOrder() {
        // Many texts of random lengths through few pages.
        var random = SystemRandomNumberGenerator()
        var scheduler = Self.scheduler(rows: 5, sequences: 3, pages: 12)
        var wanted: [Int: Int] = [:]
        for text in 0..<40 {
            let count = Int.random(in: 1...9, using: &random)
            scheduler.add(text, tokens: Self.tokens(text * 100, count))
            wanted[text] = count + Int.random(in: 1...8, using: &random)
        }
        var computed: [Int: Int] = [:]
        var passes = 0
        while !scheduler.isIdle, passes < 10_000 {
            passes += 1
            let shares = scheduler.plan()
            #expect(shares.reduce(0) { $0 + $1.tokens.count } <= 5)
            #expect(!shares.isEmpty)
            for share in shares {
                // A text goes on where it was, or begins anew at a page's border.
                let before = computed[share.text] ?? 0
                #expect(share.tokens.lowerBound == before || share.tokens.lowerBound % 2 == 0)
                computed[share.text] = share.tokens.upperBound
            }
            scheduler.finish(shares)
            for share in shares where share.isLast {
                if share.tokens.upperBound >= wanted[share.text] ?? 0 {
                    scheduler.remove(share.text)
                } else {
                    scheduler.append(1, to: share.text)
                }
            }
        }
        #expect(scheduler.isIdle && scheduler.pool.availableCount == 12)
        for (text, count) in wanted { #expect(computed[text] == count) }
    }
}
