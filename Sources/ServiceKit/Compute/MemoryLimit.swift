internal import Foundation

/// The memory that this process may have at most.
public enum MemoryLimit {
    /// That of its control group, or the machine's where there is none or it is larger.
    public static var byteCount: Int {
        OutOfMemoryKills.groupFiles(unified: "memory.max", memory: "memory.limit_in_bytes")
            .compactMap(number(inFile:))
            .reduce(Int(clamping: ProcessInfo.processInfo.physicalMemory), min)
    }

    /// The number that a file holds; nil of `max`.
    private static func number(inFile path: String) -> Int? {
        (try? String(contentsOfFile: path, encoding: .utf8))
            .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
}
