internal import Foundation
internal import ServiceKit

/// Writes a job's reports to its output folder.
public enum JobReport {
    /// Writes `report.json`, keys in snake case; numbers that JSON lacks are null.
    public static func write(_ report: some Encodable, to outputFolder: String) throws {
        let data = try ResultJSON.data(report, isPretty: true)
        try data.write(to: URL(fileURLWithPath: outputFolder + "/report.json"))
    }

    /// Writes `report.html`.
    public static func write(html: String, to outputFolder: String) throws {
        try Data(html.utf8).write(to: URL(fileURLWithPath: outputFolder + "/report.html"))
    }
}
