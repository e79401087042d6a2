internal import Foundation

/// Bytes as people read them, in the client's tables and in a job's log alike.
public enum ByteCount {
    /// `512 B`, `1.5 kB`, `144.8 MB`: powers of 1000.
    public static func text(_ count: UInt64) -> String {
        guard count >= 1000 else { return "\(count) B" }
        var value = Double(count) / 1000
        var units = ["kB", "MB", "GB", "TB"][...]
        while value >= 1000, units.count > 1 {
            value /= 1000
            units.removeFirst()
        }
        return String(format: "%.1f ", value) + (units.first ?? "")
    }
}
