/// Rows of text under headings, columns aligned.
struct TextTable {
    /// A column: its heading, and how it makes room on a narrow terminal.
    struct Column {
        var heading: String
        /// Whether its cells stand at the right, as numbers do.
        var isNumber = false
        /// What its cells may be cut to; nil if they are shown whole.
        var least: Int?
        /// Which columns go first where room is short, the lowest first; nil for those that stay.
        var dropOrder: Int?
        /// Whether its cells go below their rows, where there is no room for `least`, before anything
        /// else is cut: sentences, of which a few letters say nothing.
        var goesBelow = false
    }

    private static let gap = 2
    private static let indent = "    "

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ headings: [String]) {
        columns = headings.map { Column(heading: $0) }
    }

    init(columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row; it has as many cells as there are headings.
    mutating func append(_ row: [String]) {
        precondition(row.count == columns.count, "\(row.count) cells, \(columns.count) headings")
        rows.append(row.map(DisplayWidth.printable))
    }

    /// The table without trailing spaces or a final line break.
    ///
    /// `limit`: Columns of the terminal; nil for as wide as it comes. Columns that say nothing
    /// go first, then sentences go below their rows, then cells are cut, then columns are left out in
    /// the order they say.
    func rendered(within limit: Int? = nil) -> String {
        guard let limit else { return text(Array(columns.indices), naturalWidths, limit: nil) }
        var shown = Array(columns.indices)
        var widths = naturalWidths
        if total(shown, widths) > limit {
            shown.removeAll { isBlank($0) }
        }
        let sentences = shown.filter { columns[$0].goesBelow }
        var below: [Int] = []
        if total(shown, widths) > limit, !shrink(&widths, sentences, of: shown, to: limit) {
            below = sentences
            shown.removeAll(where: sentences.contains)
        }
        while total(shown, widths) > limit, !shrink(&widths, shown, of: shown, to: limit) {
            let candidates = shown.filter { columns[$0].dropOrder != nil }
            let next = candidates.min {
                (columns[$0].dropOrder ?? 0, $1) < (columns[$1].dropOrder ?? 0, $0)
            }
            guard let next else {
                // Not enough, but what cannot be cut is then in sight, at least in part.
                _ = shrink(&widths, shown, of: shown, to: limit, isEnough: false)
                break
            }
            shown.removeAll { $0 == next }
        }
        return text(shown, widths, below: below, limit: limit)
    }

    private func text(
        _ shown: [Int],
        _ widths: [Int],
        below: [Int] = [],
        limit: Int?
    ) -> String {
        func line(_ row: [String]) -> String {
            let cells = shown.map { index in
                DisplayWidth.padded(
                    DisplayWidth.cut(row[index], to: widths[index]),
                    to: widths[index],
                    atStart: columns[index].isNumber
                )
            }
            let line = cells.joined(separator: String(repeating: " ", count: Self.gap))
            let trimmed = String(line.reversed().drop { $0 == " " }.reversed())
            return limit.map { DisplayWidth.cut(trimmed, to: $0) } ?? trimmed
        }
        let lines = rows.flatMap { row in
            [line(row)]
                + below.filter { !row[$0].isEmpty }.map { index in
                    let text = Self.indent + row[index]
                    return limit.map { DisplayWidth.cut(text, to: $0) } ?? text
                }
        }
        return ([line(columns.map(\.heading))] + lines).joined(separator: "\n")
    }

    /// Whether a column says nothing in any row.
    private func isBlank(_ index: Int) -> Bool {
        !rows.isEmpty && rows.allSatisfy { ["", "-"].contains($0[index]) }
    }

    private var naturalWidths: [Int] {
        columns.indices.map { index in
            rows.map { DisplayWidth.columns($0[index]) }
                .reduce(DisplayWidth.columns(columns[index].heading), max)
        }
    }

    private func total(_ shown: [Int], _ widths: [Int]) -> Int {
        shown.reduce(0) { $0 + widths[$1] } + max(0, shown.count - 1) * Self.gap
    }

    /// Cuts cells, those of the last columns first, if that is enough, or has to do.
    private func shrink(
        _ widths: inout [Int],
        _ candidates: [Int],
        of shown: [Int],
        to limit: Int,
        isEnough mustBeEnough: Bool = true
    ) -> Bool {
        var excess = total(shown, widths) - limit
        var narrowed = widths
        for index in candidates.reversed() where excess > 0 {
            guard let least = columns[index].least else {
                continue
            }
            let width = max(narrowed[index] - excess, min(narrowed[index], least))
            excess -= narrowed[index] - width
            narrowed[index] = width
        }
        guard excess <= 0 || !mustBeEnough else {
            return false
        }
        widths = narrowed
        return true
    }
}
