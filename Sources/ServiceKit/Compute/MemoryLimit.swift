internal import Foundation

/// The memory that this process may have at most.
public enum MemoryLimit {
    /// That of its control group, or the machine's where there is none or it is larger; nil where the
    /// system does not say.
    public static var byteCount: Int? {
        let groups = OutOfMemoryKills.groupPath(
            try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)
        )
        let root = "/sys/fs/cgroup"
        let files = [
            "\(root)\(groups.unified)/memory.max", "\(root)/memory.max",
            "\(root)/memory\(groups.memory)/memory.limit_in_bytes",
            "\(root)/memory/memory.limit_in_bytes",
        ]
        let limits = files.compactMap { number(inFile: $0) }
        return (limits + [Int(clamping: ProcessInfo.processInfo.physicalMemory)]).min()
    }

    /// The number that a file holds; nil of `max`.
    private static func number(inFile path: String) -> Int? {
        (try? String(contentsOfFile: path, encoding: .utf8))
            .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
}
