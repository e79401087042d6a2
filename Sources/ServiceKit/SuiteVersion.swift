/// The version that every program of the suite reports.
public enum SuiteVersion {
    /// The version, by semantic versioning.
    public static let current = "0.1.0"
}
