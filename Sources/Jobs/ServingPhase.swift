/// The phase of a job that answers requests: `serving 3 texts`.
public enum ServingPhase {
    /// Its first word.
    public static let word = "serving"

    /// Whether a phase is one of a replica that answers requests.
    public static func holds(_ phase: String) -> Bool { phase.hasPrefix(word + " ") }
}
