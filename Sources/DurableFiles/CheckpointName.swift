internal import Foundation

/// How the folder of a training's checkpoint is called: `step-` and the step in at least eight digits.
///
/// The compute child writes it and the daemon looks for it, so both name it here.
public struct CheckpointName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Steps taken.
    public let step: UInt64

    private static let prefix = "step-"
    private static let digits = 8

    /// The name for a step.
    public init(step: UInt64) {
        self.step = step
    }

    /// Reads a folder's name; nil if it is no checkpoint's, letter by letter.
    public init?(_ name: String) {
        guard name.utf8.starts(with: Self.prefix.utf8),
            let step = UInt64(name.dropFirst(Self.prefix.count))
        else { return nil }
        self.init(step: step)
        guard Array(description.utf8) == Array(name.utf8) else { return nil }
    }

    /// How the folder is called while it is being written, below the same one.
    public var unfinished: String { Self.unfinishedPrefix + description }

    private static let unfinishedPrefix = ".tmp-"

    /// Removes those in a folder that were being written when their process ended; only while nobody writes one.
    public static func removeUnfinished(in folder: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names
        where name.hasPrefix(unfinishedPrefix)
            && CheckpointName(String(name.dropFirst(unfinishedPrefix.count))) != nil
        {
            try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
    }

    /// Those in a folder, whole or not, in no order.
    public static func all(in folder: String) -> [CheckpointName] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { CheckpointName($0) }
    }

    /// The name.
    public var description: String {
        let number = "\(step)"
        return Self.prefix + String(repeating: "0", count: max(0, Self.digits - number.count))
            + number
    }

    /// Whether one is of an earlier step.
    public static func < (left: Self, right: Self) -> Bool { left.step < right.step }
}
