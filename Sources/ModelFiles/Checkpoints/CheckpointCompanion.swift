/// An earlier checkpoint whose files go with a later one.
///
/// Its files are hard links in the later one's folder, under names that begin with the role: they take no room
/// of their own, stay when the earlier folder is removed, and come along wherever the later one is moved.
public struct CheckpointCompanion: Sendable, Equatable {
    /// What it is kept for.
    public enum Role: String, Sendable, CaseIterable {
        /// The one with the best validation: its weights may be exported.
        case best
        /// The one that a run which diverges goes back to, whole: with what it came with itself.
        case anchor

        /// What the names of its files begin with.
        var prefix: String { rawValue + "." }
    }

    /// What it is kept for.
    public var role: Role
    /// Its steps.
    public var step: Int

    /// A companion.
    public init(_ role: Role, step: Int) {
        self.role = role
        self.step = step
    }
}
