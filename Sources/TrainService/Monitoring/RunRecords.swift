internal import Foundation

/// Writes what was measured while a job trained into its output folder, as `run/`.
///
/// `metrics.jsonl` has a line per logged step and validation, `metrics.csv` the same figures without the layers',
/// `layers.csv` these, and `tensorboard/` an event file. Of a training for several formats lines say which one they are
/// of.
enum RunRecords {
    /// Writes the files of a run.
    ///
    /// - Throws: What Foundation throws for files that cannot be written.
    static func write(_ history: RunHistory, to outputFolder: String) throws {
        let folder = outputFolder + "/run"
        let board = folder + "/tensorboard"
        try FileManager.default.createDirectory(atPath: board, withIntermediateDirectories: true)
        let files: [(name: String, data: Data)] = [
            ("metrics.jsonl", try history.jsonLines()),
            ("metrics.csv", Data(table(of: history).utf8)),
            ("layers.csv", Data(layerTable(of: history).utf8)),
            // TensorBoard looks for the word, and sorts by the time.
            (
                "tensorboard/events.out.tfevents.\(Int(history.rows.first?.time ?? 0)).qat",
                TensorBoardFile(history).data
            ),
        ]
        for file in files {
            try file.data.write(to: URL(fileURLWithPath: "\(folder)/\(file.name)"))
        }
    }

    /// A row per step: what was not measured there is empty.
    static func table(of history: RunHistory) -> String {
        let figures = Set(history.rows.flatMap(\.values.keys)).sorted {
            $0.rawValue < $1.rawValue
        }
        let head = ["step", "time", "stage"] + formatHead(history) + figures.map(\.rawValue)
        let rows = history.rows.map { row in
            ["\(row.step)", "\(row.time)", field(row.stage ?? "")] + format(row, history)
                + figures.map { text(row.values[$0]) }
        }
        return lines([head] + rows)
    }

    /// A row per step and module.
    static func layerTable(of history: RunHistory) -> String {
        let head = ["step"] + formatHead(history) + ["module"] + LayerFigure.allCases.map(\.name)
        let rows = history.rows.flatMap { row in
            (row.layers ?? [:]).sorted { $0.key < $1.key }.map { module, layer in
                ["\(row.step)"] + format(row, history) + [field(module)]
                    + LayerFigure.allCases.map { text(layer[$0]) }
            }
        }
        return lines([head] + rows)
    }

    private static func formatHead(_ history: RunHistory) -> [String] {
        history.hasFormats ? ["format"] : []
    }

    private static func format(_ row: RunHistory.Row, _ history: RunHistory) -> [String] {
        history.hasFormats ? [field(row.format ?? "")] : []
    }

    private static func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }

    /// A field as RFC 4180 has it.
    private static func field(_ text: String) -> String {
        let isPlain = text.unicodeScalars.allSatisfy { !"\",\r\n".unicodeScalars.contains($0) }
        return isPlain ? text : "\"\(text.replacingOccurrences(of: "\"", with: "\"\""))\""
    }

    private static func lines(_ rows: [[String]]) -> String {
        rows.map { $0.joined(separator: ",") + "\r\n" }.joined()
    }
}
