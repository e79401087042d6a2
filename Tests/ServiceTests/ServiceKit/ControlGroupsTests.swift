internal import Foundation
internal import Testing

@testable internal import ServiceKit
@testable internal import qat_client

/// What is read of control groups, on trees of files as Linux 6 shows them under /sys/fs/cgroup.
struct ControlGroupsTests {
    private let home: TemporaryHome
    private var root: String { home.home.path + "/cgroup" }

    init() throws { home = try TemporaryHome() }

    private func groups(_ membership: String) -> ControlGroups {
        ControlGroups(root: root, membership: membership)
    }

    private func write(_ files: [String: String]) throws {
        for (name, text) in files { try home.write("cgroup/" + name, text + "\n") }
    }

    /// The least of some groups: what a process may have, in megabytes, and what sets it.
    private func least(_ membership: String) -> (megabytes: Int, name: String)? {
        groups(membership).limits.min { $0.byteCount < $1.byteCount }
            .map { ($0.byteCount >> 20, $0.name) }
    }

    /// Seen: a limit one group above the worker's was not seen, and the training was killed twice.
    @Test func aLimitAboveCountsInVersion2() throws {
        try write([
            "a.slice/memory.max": "\(1_500 << 20)", "a.slice/b/memory.max": "max",
            "a.slice/b/c/memory.max": "max",
        ])
        let above = try #require(least("0::/a.slice/b/c\n"))
        #expect(above.megabytes == 1_500)
        #expect(above.name == "the limit of the control group /a.slice")
        // The process's own, which is lower.
        try write(["a.slice/b/c/memory.max": "\(900 << 20)"])
        let own = try #require(least("0::/a.slice/b/c\n"))
        #expect(own.megabytes == 900 && own.name == "its control group's limit")
        // One in between, which is lower still.
        try write(["a.slice/b/memory.max": "\(700 << 20)"])
        let between = try #require(least("0::/a.slice/b/c\n"))
        #expect(between.megabytes == 700)
        #expect(between.name == "the limit of the control group /a.slice/b")
        #expect(least("0::/other\n") == nil && least("0::/\n") == nil)
    }

    @Test func aLimitAboveCountsInVersion1() throws {
        try write([
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/a/memory.limit_in_bytes": "\(1_500 << 20)",
            "memory/a/b/memory.limit_in_bytes": "9223372036854771712",
            "memory/a/b/memory.stat": "cache 1\nhierarchical_memory_limit \(1_500 << 20)",
        ])
        let membership = "4:cpu,memory:/a/b\n1:name=systemd:/x\n0::/\n"
        let found = try #require(least(membership))
        #expect(found.megabytes == 1_500 && found.name == "the limit of the control group /a")
        // Of a group that is not to be seen here the process's own tells.
        try write([
            "memory/a/b/memory.stat": "cache 1\nhierarchical_memory_limit \(800 << 20)"
        ])
        let hidden = try #require(least(membership))
        #expect(hidden.megabytes == 800)
        #expect(hidden.name == "the limit of a control group above its own")
    }

    /// In a container the process's path is the host's, or leads out of it; what is mounted is its own.
    @Test(arguments: ["0::/system.slice/docker-1.scope\n", "0::/../../x\n", "0::/\n"])
    func whatAContainerSeesIsItsOwn(membership: String) throws {
        try write([
            "memory.max": "\(600 << 20)", "memory.events": "oom 1\noom_kill 5",
        ])
        let found = try #require(least(membership))
        #expect(found.megabytes == 600 && found.name == "its control group's limit")
        #expect(groups(membership).outOfMemoryKills == 5)
    }

    @Test func killsAreTheOwnGroups() throws {
        try write([
            "memory/memory.oom_control": "oom_kill_disable 0\noom_kill 9",
            "memory/a/memory.oom_control": "oom_kill_disable 0\noom_kill 7",
            "memory/a/b/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
            "x/memory.events": "low 0\noom 2\noom_kill 3\noom_group_kill 0",
        ])
        #expect(groups("3:memory:/a/b\n0::/\n").outOfMemoryKills == 2)
        #expect(groups("3:memory:/a\n").outOfMemoryKills == 7)
        #expect(groups("3:memory:/\n").outOfMemoryKills == 9)
        #expect(groups("0::/x\n").outOfMemoryKills == 3)
    }

    /// Kernels before 4.13 do not count, and the root of version 2 does not, either.
    @Test func whatDoesNotCountIsNotKnown() throws {
        #expect(groups("0::/\n").outOfMemoryKills == nil)
        try write([
            "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4",
            "memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0",
        ])
        #expect(groups("3:memory:/a\n").outOfMemoryKills == nil)
        #expect(groups("nonsense").limits.isEmpty)
        #expect(ControlGroups(root: root, membership: nil).limits.isEmpty)
    }

    @Test func theLeastOfAllSortsIsSaid() throws {
        try write(["a/memory.max": "\(5 << 20)", "a/b/memory.max": "max"])
        let limit = MemoryLimit.least(in: groups("0::/a/b\n"))
        #expect(limit.byteCount == 5 << 20 && limit.name == "the limit of the control group /a")
    }
}
