internal import Foundation

/// The memory that this process may have at most.
public enum MemoryLimit {
    /// That of its control group and of those above, of its resources, or the machine's: the least.
    public static var byteCount: Int { current.byteCount }

    /// The least, and what sets it, in words.
    public static var current: (byteCount: Int, name: String) { least(in: .current) }

    static func least(in groups: ControlGroups) -> (byteCount: Int, name: String) {
        let limits =
            groups.limits.map { ($0.byteCount, $0.name) }
            + [
                resource(RLIMIT_AS).map { ($0, "the limit of its address space, RLIMIT_AS") },
                resource(RLIMIT_DATA).map { ($0, "the limit of its data, RLIMIT_DATA") },
            ].compactMap { $0 }
        let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        return limits.reduce((machine, "the machine's memory")) { $1.0 < $0.0 ? $1 : $0 }
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
