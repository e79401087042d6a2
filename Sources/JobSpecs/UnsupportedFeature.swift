/// Something that a job file may say and that no engine of this version does.
///
/// A job that this version's workers would take is refused for it. One that waits for machines that
/// nobody offers is not: what their workers can do is theirs to say.
public struct UnsupportedFeature: Sendable, Equatable, CustomStringConvertible {
    /// The place, such as `$.data.data_impl`.
    public let path: String
    /// What is not done, and what to write instead.
    public let message: String

    init(_ path: String, _ message: String) {
        self.path = path
        self.message = message
    }

    /// `$.data.data_impl: "mmap" … is not in this version; …`.
    public var description: String { "\(path): \(message)" }
}
