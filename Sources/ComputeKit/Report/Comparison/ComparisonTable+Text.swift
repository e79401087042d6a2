// The table as text that other tools take.
extension ComparisonTable {
    /// Headings and rows for people.
    ///
    /// `escaped`: Makes markup of names plain text, `figure` of what the table itself writes.
    private func cells(
        _ escaped: (String) -> String,
        figure: (String) -> String
    ) -> (headings: [String], rows: [[String]]) {
        var headings = ["model", "memory", "of BF16"]
        for (place, column) in columns.enumerated() {
            headings.append(escaped(column.heading))
            if hasRecovered(place) { headings.append("recovered") }
        }
        let rows = rows.map { row in
            var cells = [
                escaped(row.label), NumberText.bytes(Double(row.memoryBytes)),
                figure(NumberText.percent(row.memoryRatio)),
            ]
            for (place, column) in columns.enumerated() {
                let cell = row.cells[place]
                cells.append(cell.map { figure(Self.text($0, column)) } ?? "")
                guard hasRecovered(place) else { continue }
                cells.append(cell?.recovered.map { figure(NumberText.percent($0)) } ?? "")
            }
            return cells
        }
        return (headings, rows)
    }

    /// `44.83 [36.29, 55.37]*`.
    static func text(_ cell: Cell, _ column: Column) -> String {
        var text = NumberText.fixed(cell.value, column.decimals)
        if let interval = cell.interval, interval.count == 2 {
            let ends = interval.map { NumberText.fixed($0, column.decimals) }
            text += " [\(ends[0]), \(ends[1])]"
        }
        return text + cell.mark
    }

    /// A table of Markdown, as GitHub reads it, with its notes.
    public func markdown() -> String {
        let (headings, rows) = cells(Self.markdown) { $0.replacing("*", with: "\\*") }
        func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
        let rule = "|---" + String(repeating: "|---:", count: headings.count - 1) + "|"
        let notes = notes.map { Self.markdown($0) }.joined(separator: " ")
        return ([line(headings), rule] + rows.map(line)).joined(separator: "\n") + "\n"
            + (notes.isEmpty ? "" : "\n\(notes)\n")
    }

    /// A `tabular` of LaTeX with the rules of its package booktabs, and its notes.
    public func latex() -> String {
        let (headings, rows) = cells(Self.latex, figure: Self.latex)
        func line(_ cells: [String]) -> String { cells.joined(separator: " & ") + " \\\\" }
        let columns = "l" + String(repeating: "r", count: headings.count - 1)
        let notes = notes.map(Self.latex).joined(separator: " ")
        return """
            % \\usepackage{booktabs}
            \\begin{tabular}{\(columns)}
            \\toprule
            \(line(headings))
            \\midrule
            \(rows.map(line).joined(separator: "\n"))
            \\bottomrule
            \\end{tabular}

            """ + (notes.isEmpty ? "" : "\n\(notes)\n")
    }

    /// Lines of CSV (RFC 4180), one for each model and figure, with all digits.
    public func csv() -> String {
        let headings = [
            "label", "memory_bytes", "memory_ratio", "activations", "kv_cache", "task", "text",
            "value", "low", "high", "count", "recovered", "difference", "difference_low",
            "difference_high", "p_value",
        ]
        func number(_ value: Double?) -> String { value.map { String($0) } ?? "" }
        var lines = [headings]
        for row in rows {
            for (column, cell) in zip(columns, row.cells) {
                guard let cell else { continue }
                let difference = cell.difference
                lines.append(
                    [
                        row.label, String(row.memoryBytes), String(row.memoryRatio),
                        row.activations, row.cache, column.task, column.text, number(cell.value),
                        number(cell.interval?.first), number(cell.interval?.last),
                        String(cell.count), number(cell.recovered), number(difference?.value),
                        number(difference?.interval?.first), number(difference?.interval?.last),
                        number(difference?.probability),
                    ].map(Self.csv)
                )
            }
        }
        return lines.map { $0.joined(separator: ",") + "\r\n" }.joined()
    }

    private static func csv(_ text: String) -> String {
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    /// Text in which nothing is markup, on one line.
    private static func markdown(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\", "|", "*", "_", "`", "[", "]", "<", ">", "#", "~": result += "\\\(character)"
            case _ where character.isNewline: result += " "
            default: result.append(character)
            }
        }
        return result
    }

    private static func latex(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&", "%", "$", "#", "_", "{", "}": result += "\\\(character)"
            case "\\": result += "\\textbackslash{}"
            case "~": result += "\\textasciitilde{}"
            case "^": result += "\\textasciicircum{}"
            case "−": result += "$-$"
            case "∞": result += "$\\infty$"
            case "<": result += "\\textless{}"
            case ">": result += "\\textgreater{}"
            case _ where character.isNewline: result += " "
            default: result.append(character)
            }
        }
        return result
    }
}
