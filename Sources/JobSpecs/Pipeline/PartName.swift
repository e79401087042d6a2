internal import Formats
internal import Jobs

/// Rules for the names of jobs within a pipeline, for clients and the gateway alike.
public enum PartName {
    /// Bytes of a name at most.
    public static let byteLimit = JobLimits().partBytes

    /// Why a text is no name, or nil.
    public static func fault(in text: String) -> String? {
        let isWord = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
        }
        guard isWord, (1...byteLimit).contains(text.utf8.count) else {
            return "is no name; expected 1 to \(byteLimit) letters, digits, - and _"
        }
        // In capitals, too: people read them as the same.
        let small = text.lowercased()
        let isTaken = JobID.isWhole(small) || PipelineID.isWhole(small)
        return isTaken ? "looks like an id; choose another name" : nil
    }

    /// Whether a job whose outputs lie at some paths may make one at a path.
    public static func makes(_ output: String, _ outputs: [String]) -> Bool {
        outputs.contains { output == $0 || output.hasPrefix($0 + "/") }
    }
}
