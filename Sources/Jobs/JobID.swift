/// How jobs are called: sixteen lower-case hexadecimal digits.
public enum JobID {
    /// Characters of an id.
    public static let length = 16

    /// Whether text is a whole id.
    public static func isWhole(_ text: some StringProtocol) -> Bool {
        text.utf8.count == length
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}

/// How pipelines are called: as jobs are, behind a prefix that no job's id has.
public enum PipelineID {
    private static let prefix = "p-"

    /// The id that such digits make.
    public static func make(_ digits: String) -> String { prefix + digits }

    /// Whether an id is a pipeline's and no job's.
    public static func isPipeline(_ id: String) -> Bool { id.hasPrefix(prefix) }

    /// Whether text is a whole id.
    public static func isWhole(_ text: String) -> Bool {
        isPipeline(text) && JobID.isWhole(text.dropFirst(prefix.count))
    }
}
