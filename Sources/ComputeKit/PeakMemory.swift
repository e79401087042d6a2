internal import Foundation

/// The process's peak resident memory.
public enum PeakMemory {
    /// Starts the peak anew, so that each model's row tells its own; see proc(5), clear_refs.
    public static func reset() {
        try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    }

    /// Bytes, or nil where the system does not tell.
    public static func byteCount() -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
        else {
            return nil
        }
        return kilobytes * 1024
    }
}
