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
        let paths = OutOfMemoryKills.groupPath("4:cpu,memory:/a/b\n1:name=systemd:/x\n0::/c\n")
        #expect(paths.memory == "/a/b" && paths.unified == "/c")
        #expect(OutOfMemoryKills.groupPath("0::/\n").unified.isEmpty)
        #expect(OutOfMemoryKills.groupPath(nil).memory.isEmpty)
    }

    @Test func onlyARiseIsNamed() {
        let before = OutOfMemoryKills(ofGroup: 3, ofMachine: 10)
        #expect(OutOfMemoryKills(ofGroup: 3, ofMachine: 10).since(before)?.isEmpty == true)
        let rise = OutOfMemoryKills(ofGroup: 4, ofMachine: 11).since(before)
        #expect(rise == "the control group's oom_kill rose from 3 to 4")
        let unknown = OutOfMemoryKills(ofGroup: nil, ofMachine: nil)
        #expect(unknown.since(before) == nil)
    }

    @Test func thisMachineCounts() throws {
        #expect(try #require(OutOfMemoryKills.counted().ofMachine) >= 0)
    }
}
