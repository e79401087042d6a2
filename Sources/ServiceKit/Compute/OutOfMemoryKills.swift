internal import Foundation

/// How many processes the system has killed for lack of memory, as far as it counts.
struct OutOfMemoryKills: Sendable, Equatable {
    /// In this process's control group: `oom_kill` of memory.events (version 2) or of
    /// memory.oom_control (version 1).
    var ofGroup: Int?
    /// On the whole machine: `oom_kill` of /proc/vmstat.
    var ofMachine: Int?

    /// The counts now.
    static func counted() -> Self {
        let files = groupFiles(unified: "memory.events", memory: "memory.oom_control")
        return Self(
            ofGroup: files.lazy.compactMap { count(inFile: $0) }.first,
            ofMachine: count(inFile: "/proc/vmstat")
        )
    }

    /// The kills since an earlier count, in words; empty if there was none, nil if nothing counts.
    func since(_ earlier: Self) -> String? {
        let changes = [
            ("the control group's oom_kill", earlier.ofGroup, ofGroup),
            ("the machine's oom_kill", earlier.ofMachine, ofMachine),
        ].compactMap { name, before, after -> (text: String, isRise: Bool)? in
            guard let before, let after else { return nil }
            return ("\(name) rose from \(before) to \(after)", after > before)
        }
        guard !changes.isEmpty else { return nil }
        return changes.first { $0.isRise }?.text ?? ""
    }

    /// Where files of this process's control group may be, by their names in version 2 and in version 1's
    /// memory controller.
    static func groupFiles(unified: String, memory: String) -> [String] {
        let path = groupPath(try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8))
        let root = "/sys/fs/cgroup"
        // Inside a container the group's own path is the root.
        return [
            "\(root)\(path.unified)/\(unified)", "\(root)/\(unified)",
            "\(root)/memory\(path.memory)/\(memory)", "\(root)/memory/\(memory)",
        ]
    }

    /// The paths that /proc/self/cgroup names, of version 2 and of version 1's memory controller.
    static func groupPath(_ text: String?) -> (unified: String, memory: String) {
        var paths = (unified: "", memory: "")
        for line in (text ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, fields[2] != "/" else { continue }
            if fields[0] == "0", fields[1].isEmpty { paths.unified = String(fields[2]) }
            if fields[1].split(separator: ",").contains("memory") {
                paths.memory = String(fields[2])
            }
        }
        return paths
    }

    /// The number behind `oom_kill` on a line of its own.
    static func count(in text: String) -> Int? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "oom_kill" { return Int(words[1]) }
        }
        return nil
    }

    private static func count(inFile path: String) -> Int? {
        (try? String(contentsOfFile: path, encoding: .utf8)).flatMap { count(in: $0) }
    }
}
