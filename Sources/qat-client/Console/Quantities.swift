internal import Foundation
internal import JobInputs

/// Numbers as people read them.
enum Quantities {
    /// Whole percent of a total, 100 at most, and of nothing.
    ///
    /// In whole numbers: 29 of 100 is 0.29, and a hundred times that is less than 29.
    static func percent(_ done: UInt64, of total: UInt64) -> UInt64 {
        total > 0
            ? total.dividingFullWidth(min(done, total).multipliedFullWidth(by: 100)).quotient : 100
    }

    /// `0.8 s`, `42s`, `3m12s`, `5h02m`, `2d04h`.
    static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e9 else {
            return "?"
        }
        let total = Int(seconds.rounded())
        let two = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
        switch total {
        case ..<60: return "\(total)s"
        case ..<3600: return "\(total / 60)m\(two(total % 60))s"
        case ..<86_400: return "\(total / 3600)h\(two(total % 3600 / 60))m"
        default: return "\(total / 86_400)d\(two(total % 86_400 / 3600))h"
        }
    }

    /// `512 B`, `1.5 kB`, `144.8 MB`: powers of 1000.
    static func bytes(_ count: UInt64) -> String { ByteCount.text(count) }

    /// A number with so many decimals.
    static func decimals(_ value: Double, _ count: Int) -> String {
        String(format: "%.\(count)f", value)
    }

    /// A number with six significant digits at most.
    static func significant(_ value: Double) -> String {
        String(format: "%.6g", value)
    }

    /// A share of one as `42.0 %`.
    static func percent(_ share: Double) -> String { decimals(share * 100, 1) + " %" }

    /// A perplexity, or an end of its interval: at least four digits, two decimals where they are few.
    static func perplexity(_ value: Double) -> String {
        decimals(value, value < 10 ? 4 : value < 10_000 ? 2 : 0)
    }

    /// `12.3 ms`, `1.25 s`.
    static func milliseconds(_ value: Double) -> String {
        value < 1000
            ? decimals(value, value < 100 ? 1 : 0) + " ms" : decimals(value / 1000, 2) + " s"
    }

    /// A time of the gateway's as `2026-11-23T21:35:45.123Z`.
    static func timestamp(unixMs: Int64) -> String {
        Date(timeIntervalSince1970: Double(unixMs) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
