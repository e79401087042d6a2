internal import Foundation

/// The memory that this process may have at most.
public enum MemoryLimit {
    /// That of its control group, of its resources, or the machine's: the least.
    public static var byteCount: Int { current.byteCount }

    /// The least, and what sets it, in words.
    public static var current: (byteCount: Int, name: String) {
        let groups = OutOfMemoryKills.groupFiles(
            unified: "memory.max",
            memory: "memory.limit_in_bytes"
        )
        let limits =
            groups.compactMap(number(inFile:)).map { ($0, "its control group's limit") }
            + [
                resource(RLIMIT_AS).map { ($0, "the limit of its address space, RLIMIT_AS") },
                resource(RLIMIT_DATA).map { ($0, "the limit of its data, RLIMIT_DATA") },
            ].compactMap { $0 }
        let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        return limits.reduce((machine, "the machine's memory")) { $1.0 < $0.0 ? $1 : $0 }
    }

    /// The number that a file holds; nil of `max`.
    private static func number(inFile path: String) -> Int? {
        (try? String(contentsOfFile: path, encoding: .utf8))
            .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// What `ulimit`, systemd's Limit…= or a batch system set; nil without a limit.
    private static func resource(_ kind: __rlimit_resource) -> Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(kind.rawValue), &limit) == 0,
            limit.rlim_cur != rlim_t.max
        else { return nil }
        return Int(clamping: limit.rlim_cur)
    }
}
