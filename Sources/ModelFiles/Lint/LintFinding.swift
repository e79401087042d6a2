/// Something about a checkpoint that a server would stumble over.
public struct LintFinding: Sendable, Equatable {
    /// How bad it is.
    public enum Severity: String, Sendable {
        /// Servers refuse the checkpoint, or compute wrong numbers.
        case error
        /// Servers load it; it is unusual, or some of them complain.
        case warning
    }

    /// How bad it is.
    public let severity: Severity
    /// The file, module or tensor, by its name within the checkpoint.
    public let place: String
    /// What was found, what was expected and what to do, in one line.
    public let message: String

    /// A finding.
    public init(severity: Severity, place: String, message: String) {
        self.severity = severity
        self.place = place
        self.message = message
    }
}

/// Findings as they come up.
struct LintLog {
    private(set) var findings: [LintFinding] = []

    mutating func error(_ place: String, _ message: String) { add(.error, place, message) }

    mutating func warning(_ place: String, _ message: String) { add(.warning, place, message) }

    mutating func add(
        _ severity: LintFinding.Severity,
        _ place: String,
        _ message: String
    ) {
        findings.append(LintFinding(severity: severity, place: place, message: message))
    }
}
