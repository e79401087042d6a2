public import Foundation

/// From when to when a certificate is valid, and how long that still is.
public struct CertificateValidity: Sendable, Equatable {
    /// The PEM file that it stands in.
    public let path: String
    /// The first moment.
    public let begins: Date
    /// The last moment.
    public let ends: Date

    /// The last moment, in Unix milliseconds.
    public var endsUnixMs: Int64 { Int64(ends.timeIntervalSince1970 * 1000) }

    /// A certificate's times.
    public init(path: String, begins: Date, ends: Date) {
        self.path = path
        self.begins = begins
        self.ends = ends
    }

    /// Days before the end from which on people are warned, the earliest first.
    public static let warningDays = [30, 7, 1]

    /// The smallest of ``warningDays`` that has begun, 0 after the end, nil while there is time.
    public func warning(at now: Date) -> Int? {
        let left = ends.timeIntervalSince(now)
        guard left > 0 else { return 0 }
        return Self.warningDays.last { left <= Double($0) * 86_400 }
    }

    /// What is left, for people: `in 6 days, on 2026-12-02 10:00 UTC`.
    public func sentence(at now: Date) -> String {
        let left = ends.timeIntervalSince(now)
        let date = ends.formatted(Self.format)
        guard left > 0 else { return "ended on \(date)" }
        let (count, unit) =
            left >= 172_800 ? (Int(left / 86_400), "days") : (Int(left / 3_600), "hours")
        return "ends in \(count) \(unit), on \(date)"
    }

    private static let format = Date.VerbatimFormatStyle(
        format: """
            \(year: .defaultDigits)-\(month: .twoDigits)-\(day: .twoDigits) \
            \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\
            \(minute: .twoDigits) UTC
            """,
        timeZone: .gmt,
        calendar: Calendar(identifier: .gregorian)
    )
}
