internal import Foundation

/// Writes a job's reports to its output folder.
public enum JobReport {
    /// Writes `report.json`, keys in snake case; numbers that JSON lacks become text.
    public static func write(_ report: some Encodable, to outputFolder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf",
            negativeInfinity: "-inf",
            nan: "nan"
        )
        let data = try encoder.encode(report)
        try data.write(to: URL(fileURLWithPath: outputFolder + "/report.json"))
    }

    /// Writes `report.html`.
    public static func write(html: String, to outputFolder: String) throws {
        try Data(html.utf8).write(to: URL(fileURLWithPath: outputFolder + "/report.html"))
    }
}
