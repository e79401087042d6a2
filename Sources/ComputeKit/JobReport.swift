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
        try write(html, extension: "html", to: outputFolder)
    }

    /// Writes the comparison of models as `report.html`, `report.md`, `report.csv` and `report.tex`.
    public static func write(_ table: ComparisonTable, to outputFolder: String) throws {
        try write(html: ComparisonPage(table).html(), to: outputFolder)
        try write(table.markdown(), extension: "md", to: outputFolder)
        try write(table.csv(), extension: "csv", to: outputFolder)
        try write(table.latex(), extension: "tex", to: outputFolder)
    }

    private static func write(_ text: String, extension: String, to outputFolder: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(outputFolder)/report.\(`extension`)"))
    }
}
