internal import Foundation
internal import Testing

@testable internal import ServiceKit

/// What a worker may have at most, in processes of their own: what is set stays.
struct MemoryLimitTests {
    /// Seen: a training of 4.4 GB was begun under `ulimit -v 1600000`.
    @Test func theAddressSpaceCounts() async {
        await #expect(processExitsWith: .success) {
            let machine = Int(ProcessInfo.processInfo.physicalMemory)
            #expect(MemoryLimit.byteCount <= machine)
            // Less than any control group of a machine that runs these tests allows.
            var limit = rlimit(rlim_cur: 1_600_000 << 10, rlim_max: .max)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
            #expect(MemoryLimit.byteCount == 1_600_000 << 10)
            #expect(MemoryLimit.current.name.contains("RLIMIT_AS"))
            // The least counts, `ulimit -d` here.
            limit.rlim_cur = 1_500_000 << 10
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit) == 0)
            #expect(MemoryLimit.byteCount == 1_500_000 << 10)
            #expect(MemoryLimit.current.name.contains("RLIMIT_DATA"))
        }
    }
}
