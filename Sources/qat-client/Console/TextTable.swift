/// Rows of text under headings, columns aligned.
struct TextTable {
    private let headings: [String]
    private var rows: [[String]] = []

    init(_ headings: [String]) {
        self.headings = headings
    }

    /// Adds a row; it has as many cells as there are headings.
    mutating func append(_ row: [String]) {
        precondition(row.count == headings.count, "\(row.count) cells, \(headings.count) headings")
        rows.append(row)
    }

    /// The table without trailing spaces or a final line break.
    func rendered() -> String {
        let all = [headings] + rows
        let widths = headings.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
        .joined(separator: "\n")
    }
}
