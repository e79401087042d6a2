internal import Testing

@testable internal import ServiceKit

/// The texts are what Linux 6 writes in these files.
struct OutOfMemoryKillsTests {
    @Test func bothVersionsOfControlGroupsAreRead() {
        let version1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"
        let version2 = "low 0\nhigh 12\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n"
        #expect(OutOfMemoryKills.count(in: version1) == 7)
        #expect(OutOfMemoryKills.count(in: version2) == 1)
        #expect(OutOfMemoryKills.count(in: "nr_free_pages 5\n") == nil)
    }

    /// Every combination of what may be known; the machine's count tells of others where the group's is known.
    ///
    /// Seen: any process of the machine that was killed for lack of memory made OUT_OF_MEMORY of a child that
    /// somebody had killed.
    @Test func theGroupsOwnCountAloneCountsWhereItIsKnown() {
        let group = "the control group's oom_kill rose from 3 to 4"
        let machine = "the machine's oom_kill rose from 10 to 11"
        let cases: [(group: (Int?, Int?), machine: (Int?, Int?), words: String?)] = [
            ((3, 3), (10, 10), ""), ((3, 3), (10, 11), ""), ((3, 4), (10, 11), group),
            ((3, 4), (10, 10), group), ((3, 4), (nil, nil), group), ((3, 3), (nil, nil), ""),
            ((nil, nil), (10, 10), ""), ((nil, nil), (10, 11), machine),
            ((3, nil), (10, 11), machine), ((nil, 4), (10, 10), ""), ((nil, nil), (nil, nil), nil),
            ((nil, nil), (10, nil), nil),
        ]
        for (group, machine, words) in cases {
            let before = OutOfMemoryKills(ofGroup: group.0, ofMachine: machine.0)
            let after = OutOfMemoryKills(ofGroup: group.1, ofMachine: machine.1)
            #expect(after.since(before) == words, "\(group) \(machine)")
        }
    }

    @Test func thisMachineCounts() throws {
        #expect(try #require(OutOfMemoryKills.counted().ofMachine) >= 0)
    }
}
