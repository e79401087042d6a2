internal import Foundation

/// The control groups that this process is in: one of version 2, and one of version 1's memory controller; either
/// may be the root, or not be there.
struct ControlGroups: Sendable {
    /// A limit of memory that a group sets, and which one, in words.
    struct Limit: Sendable, Equatable {
        let byteCount: Int
        let name: String
    }

    /// Where the groups are mounted.
    let root: String
    /// The group's parts, from the root's child on; empty for the root.
    let unified: [String]
    let memory: [String]

    /// The groups of a process.
    ///
    /// `membership`: What /proc/self/cgroup says. In a container it may name a group of the host; then the one
    /// that is mounted is the process's own.
    init(root: String = "/sys/fs/cgroup", membership: String?) {
        self.root = root
        var paths: (unified: [String], memory: [String]) = ([], [])
        for line in (membership ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let parts = fields[2].split(separator: "/").map(String.init)
            // Above what a container sees.
            guard !parts.contains("..") else { continue }
            if fields[0] == "0", fields[1].isEmpty { paths.unified = parts }
            if fields[1].split(separator: ",").contains("memory") { paths.memory = parts }
        }
        func seen(_ parts: [String], _ mount: String) -> [String] {
            let folder = ([mount] + parts).joined(separator: "/")
            return FileManager.default.fileExists(atPath: folder) ? parts : []
        }
        unified = seen(paths.unified, root)
        memory = seen(paths.memory, root + "/memory")
    }

    /// Those of this process.
    static var current: ControlGroups {
        ControlGroups(membership: try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8))
    }

    /// How many processes of this process's group the system killed for lack of memory, whoever ran out of it:
    /// `oom_kill` of memory.events (version 2) or of memory.oom_control (version 1); nil where neither is known.
    var outOfMemoryKills: Int? {
        let files = [
            path(unified, "", "memory.events"), path(memory, "memory", "memory.oom_control"),
        ]
        return files.lazy.compactMap(Self.text).compactMap(OutOfMemoryKills.count).first
    }

    /// The limits that hold for this process: its group's own, and those of the groups above, up to the root.
    var limits: [Limit] {
        var limits: [Limit] = []
        func add(_ parts: [String], _ controller: String, _ file: String) {
            for length in stride(from: parts.count, through: 0, by: -1) {
                let group = Array(parts.prefix(length))
                guard let limit = Self.number(path(group, controller, file)) else { continue }
                let name =
                    length == parts.count
                    ? "its control group's limit"
                    : "the limit of the control group /\(group.joined(separator: "/"))"
                limits.append(Limit(byteCount: limit, name: name))
            }
        }
        add(unified, "", "memory.max")
        add(memory, "memory", "memory.limit_in_bytes")
        // Version 1 tells the least of all above, also of those that a container does not see.
        if let least = hierarchicalLimit, !limits.contains(where: { $0.byteCount <= least }) {
            limits.append(
                Limit(byteCount: least, name: "the limit of a control group above its own")
            )
        }
        return limits
    }

    private var hierarchicalLimit: Int? {
        guard let text = Self.text(path(memory, "memory", "memory.stat")) else { return nil }
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "hierarchical_memory_limit" { return Int(words[1]) }
        }
        return nil
    }

    private func path(_ group: [String], _ controller: String, _ file: String) -> String {
        ([root] + [controller].filter { !$0.isEmpty } + group + [file]).joined(separator: "/")
    }

    private static func text(_ path: String) -> String? {
        try? String(contentsOfFile: path, encoding: .utf8)
    }

    /// The number that a file holds; nil of `max`.
    private static func number(_ path: String) -> Int? {
        text(path).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
}
