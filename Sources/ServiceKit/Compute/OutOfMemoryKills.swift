internal import Foundation

/// How many processes the system has killed for lack of memory, as far as it counts.
struct OutOfMemoryKills: Sendable, Equatable {
    /// In this process's control group, see ``ControlGroups/outOfMemoryKills``.
    var ofGroup: Int?
    /// On the whole machine: `oom_kill` of /proc/vmstat.
    var ofMachine: Int?

    /// The counts now.
    static func counted() -> Self {
        Self(
            ofGroup: ControlGroups.current.outOfMemoryKills,
            ofMachine: (try? String(contentsOfFile: "/proc/vmstat", encoding: .utf8))
                .flatMap { count(in: $0) }
        )
    }

    /// The kills since an earlier count, in words; empty if there was none, nil if nothing counts.
    ///
    /// A group counts every kill of its processes, whoever ran out of memory, so where it counts the machine's
    /// number tells of others only.
    func since(_ earlier: Self) -> String? {
        let counts = [
            ("the control group's oom_kill", earlier.ofGroup, ofGroup),
            ("the machine's oom_kill", earlier.ofMachine, ofMachine),
        ]
        for case (let name, let before?, let after?) in counts {
            return after > before ? "\(name) rose from \(before) to \(after)" : ""
        }
        return nil
    }

    /// The number behind `oom_kill` on a line of its own.
    static func count(in text: String) -> Int? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "oom_kill" { return Int(words[1]) }
        }
        return nil
    }
}
