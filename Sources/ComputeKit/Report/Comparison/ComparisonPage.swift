/// A comparison as one page that needs no network and no other file.
public struct ComparisonPage: Sendable {
    private let table: ComparisonTable

    /// A page of a table.
    public init(_ table: ComparisonTable) {
        self.table = table
    }

    /// The page, in UTF-8; well-formed XML as well, every text escaped.
    public func html() -> String {
        HTMLPage(
            kind: "Evaluation report",
            title: table.title,
            sections: [models(), plots()]
        ).html()
    }

    private func models() -> String {
        let groups = table.columns.enumerated().map { place, column in
            let span = table.hasRecovered(place) ? 2 : 1
            let text = column.text.isEmpty ? "" : "<br/>" + HTMLText.breakable(column.text)
            return "<th scope=\"col\" class=\"number\" colspan=\"\(span)\">"
                + HTMLText.escaped(column.task) + text + "</th>"
        }
        let rows = table.rows.map { row in
            let cells = row.cells.enumerated().map(cell).joined()
            return """
                <tr><th scope="row">\(HTMLText.escaped(row.label))</th>\
                <td class="number">\(NumberText.bytes(Double(row.memoryBytes)))</td>\
                <td class="number">\(NumberText.percent(row.memoryRatio))</td>\
                <td>\(HTMLText.escaped(row.activations))</td><td>\(HTMLText.escaped(row.cache))</td>\
                \(cells)</tr>
                """
        }
        let notes = table.notes.map { "<p class=\"note\">\(HTMLText.escaped($0))</p>" }
        return """
            <section>
            <h2>Models</h2>
            <div class="scroll page-wide" role="region" aria-label="Models" tabindex="0">
            <table>
            <thead><tr><th scope="col">Model</th><th scope="col" class="number">Memory</th>\
            <th scope="col" class="number">of BF16</th><th scope="col">Inputs</th>\
            <th scope="col">Cache</th>\(groups.joined())</tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody>
            </table>
            </div>
            \(notes.joined(separator: "\n"))
            </section>
            """
    }

    private func cell(_ place: Int, _ cell: ComparisonTable.Cell?) -> String {
        let column = table.columns[place]
        var html = "<td class=\"number\">"
        if let cell {
            html += NumberText.fixed(cell.value, column.decimals) + cell.mark
            if let interval = cell.interval, interval.count == 2 {
                let ends = interval.map { NumberText.fixed($0, column.decimals) }
                html += " <span class=\"quiet\">[\(ends[0]), \(ends[1])]</span>"
            }
        }
        html += "</td>"
        guard table.hasRecovered(place) else { return html }
        return html + "<td class=\"number\">\(cell?.recovered.map(NumberText.percent) ?? "")</td>"
    }

    private func plots() -> String {
        guard !table.columns.isEmpty else { return "" }
        let panels = table.columns.indices.map { ComparisonPlot(table, column: $0).html() }
        return """
            <section>
            <h2>Figures</h2>
            <figure>
            <figcaption class="quiet">A point is a model's figure, its line the 95 % interval; the dashed line \
            is \(HTMLText.escaped(table.baseline)).</figcaption>
            <div class="panels">
            \(panels.joined(separator: "\n"))
            </div>
            </figure>
            </section>
            """
    }
}
