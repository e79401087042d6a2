internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs

/// When a job's time is over, as people write it.
enum Deadline: Equatable, Sendable {
    /// So many milliseconds from its submission, by the gateway's clock.
    case after(Int64)
    /// At an instant, in Unix milliseconds.
    case at(Int64)

    /// What may be written, for help texts and refusals.
    static let forms = "90s, 30m, 2h, 1h30m, 3d, 17:30, 2026-11-27T08:00 or 2026-11-27T08:00Z"

    /// Reads a duration, a time of day (the next one), or a date with a time; nil of anything else.
    ///
    /// `now`: The present. `zone`: What times without a zone are of.
    init?(_ text: String, now: Date = .now, zone: TimeZone = .current) {
        if let milliseconds = Self.duration(text) {
            self = .after(milliseconds)
        } else if let date = Self.timeOfDay(text, now, zone) ?? Self.date(text, zone) {
            self = .at(Int64((date.timeIntervalSince1970 * 1000).rounded()))
        } else {
            return nil
        }
    }

    private static let units: [(letter: Character, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000),
    ]

    /// `1h30m`: numbers with units, each once, the largest first.
    ///
    /// - Returns: Milliseconds; nil of anything else.
    static func duration(_ text: String) -> Int64? {
        var rest = text[...]
        var sum: Int64 = 0
        for unit in units {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int64(digits), rest[digits.endIndex...].first == unit.letter else {
                continue
            }
            guard number <= 100_000 else { return nil }
            sum += number * unit.milliseconds
            rest = rest[digits.endIndex...].dropFirst()
        }
        return rest.isEmpty && sum > 0 ? sum : nil
    }

    /// Whether a text is a time of day, which means another instant tomorrow.
    static func isTimeOfDay(_ text: String) -> Bool { clock(text) != nil }

    private static func clock(_ text: String) -> DateComponents? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }),
            let hour = Int(parts[0]), let minute = Int(parts[1]),
            (0...23).contains(hour), (0...59).contains(minute)
        else { return nil }
        return DateComponents(hour: hour, minute: minute, second: 0)
    }

    private static func timeOfDay(_ text: String, _ now: Date, _ zone: TimeZone) -> Date? {
        guard let clock = clock(text) else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        return calendar.nextDate(after: now, matching: clock, matchingPolicy: .nextTime)
    }

    /// `2026-11-27T08:00[:00][Z|+01:00]`; a space will do for the T.
    private static func date(_ text: String, _ zone: TimeZone) -> Date? {
        var text = text.replacing(" ", with: "T")
        var style = Date.ISO8601FormatStyle(timeZone: zone).year().month().day()
            .dateTimeSeparator(.standard).time(includingFractionalSeconds: false)
        guard let start = text.firstIndex(of: "T") else { return nil }
        let time = text[text.index(after: start)...]
        let clock = time.prefix { $0.isNumber || $0 == ":" }
        let end = time[clock.endIndex...]
        if clock.utf8.count == 5 {
            text = text[..<clock.endIndex] + ":00" + end
        }
        if !end.isEmpty {
            style = style.timeZone(separator: .colon)
        }
        // Parsing takes the 30th of February for the 2nd of March.
        let day = text[..<start].split(separator: "-").compactMap { Int($0) }
        let parts = DateComponents(
            calendar: Calendar(identifier: .gregorian),
            year: day.first,
            month: day.dropFirst().first,
            day: day.last
        )
        guard day.count == 3, parts.isValidDate else { return nil }
        return try? style.parse(text)
    }

    /// Why nothing can be submitted with it; nil if that can.
    func fault(now: Date = .now) -> String? {
        guard case .at(let instant) = self else { return nil }
        let distance = instant - Int64(now.timeIntervalSince1970 * 1000)
        if distance <= 0 { return "has passed already" }
        return distance > JobLimits().deadlineReach ? "is more than ten years away" : nil
    }
}

/// When a job, or each job of a pipeline, is to run, and whether it has to.
struct Schedule: Equatable, Sendable {
    /// Jobs that must end well before, by id.
    var after: [String] = []
    /// How soon it is taken.
    var priority: Int64 = 0
    var deadline: Deadline?
    /// Whether the outputs of a job that did the same will do.
    var reuse = false

    /// All that it says, as the journal keeps it.
    var members: JSONValue {
        let time: JSONValue =
            switch deadline {
            case nil: .null
            case .after(let milliseconds): .array([.number(Double(milliseconds))])
            case .at(let instant): .number(Double(instant))
            }
        return .object([
            "after": .array(after.map(JSONValue.string)), "priority": .number(Double(priority)),
            "deadline": time, "reuse": .boolean(reuse),
        ])
    }

    /// What of it means something else when the same words are said later; empty if nothing does.
    var text: String {
        var parts = after.isEmpty ? [] : ["after \(after.joined(separator: ", "))"]
        if case .at(let instant) = deadline {
            parts.append("until \(Quantities.timestamp(unixMs: instant))")
        }
        return parts.joined(separator: ", ")
    }
}

extension Schedule {
    /// Reads what ``members`` wrote; nil of anything else.
    init?(members: JSONValue) {
        guard let after = members["after"]?.arrayValue?.compactMap(\.stringValue),
            let priority = members["priority"]?.integerValue,
            let time = members["deadline"], let reuse = members["reuse"]?.booleanValue
        else { return nil }
        self.init(after: after, priority: Int64(priority), reuse: reuse)
        guard time != .null else { return }
        if let milliseconds = time.arrayValue?.first?.integerValue {
            deadline = .after(Int64(milliseconds))
        } else if let instant = time.integerValue {
            deadline = .at(Int64(instant))
        } else {
            return nil
        }
    }
}

/// The scheduling options of a command as they were typed.
///
/// They make a submission the same as another one: what `latest`, a name or a time of day means is
/// another thing the next time.
struct TypedSchedule: Equatable, Sendable {
    /// The words of `--after`.
    var after: [String] = []
    /// What the other words mean; the deadline only if it is no time of day.
    var rest = Schedule()
    /// A deadline that is a time of day.
    var clock: String?
    /// The words in the file that stand for jobs, each behind its place.
    var references: [String] = []

    /// What makes it another submission; null if it says nothing.
    var json: JSONValue {
        guard self != TypedSchedule() else { return .null }
        var members = rest.members.objectValue ?? [:]
        members["after"] = .array(after.map(JSONValue.string))
        if let clock { members["deadline"] = .string(clock) }
        if !references.isEmpty { members["references"] = .array(references.map(JSONValue.string)) }
        return .object(members)
    }
}

/// The options of `submit` that say when and whether to run.
struct ScheduleOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: "How soon it is taken: low, normal, high, or a number from -100 to 100.",
        completion: .list(["low", "normal", "high"])
    )
    var priority: String?
    @Option(help: "Start only after this job or pipeline ended well; again for several.")
    var after: [String] = []
    @Option(help: "When its time is over: 2h from now, 17:30, or a date with a time.")
    var deadline: String?
    @Flag(help: "Take the outputs of a finished job that did the same with the same inputs.")
    var reuse = false

    func validate() throws {
        if let priority, JobPriority.number(priority) == nil {
            throw ValidationError(
                "--priority \(TerminalText.short(priority)): expected low, normal, high, or a number from -100 to 100."
            )
        }
        if let deadline, Deadline(deadline) == nil {
            throw ValidationError(
                "--deadline \(TerminalText.short(deadline)): expected \(Deadline.forms)."
            )
        }
    }

    /// Checks that something new can still be submitted with the deadline; what was submitted before may have
    /// had it when there was time.
    ///
    /// - Throws: ``ClientError`` (`usage`).
    func requireTime() throws {
        if let deadline, let fault = Deadline(deadline)?.fault() {
            throw ClientError(.usage, "--deadline \(TerminalText.short(deadline)) \(fault)")
        }
    }

    /// What is asked for, the jobs of `--after` not yet found.
    var schedule: Schedule {
        Schedule(
            priority: priority.flatMap(JobPriority.number) ?? 0,
            deadline: deadline.flatMap { Deadline($0) },
            reuse: reuse
        )
    }

    /// What was typed.
    var typed: TypedSchedule {
        var rest = schedule
        let clock = deadline.flatMap { Deadline.isTimeOfDay($0) ? $0 : nil }
        if clock != nil { rest.deadline = nil }
        return TypedSchedule(after: after, rest: rest, clock: clock)
    }
}
