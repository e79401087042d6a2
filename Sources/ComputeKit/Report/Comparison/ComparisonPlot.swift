/// One figure of all models: a point each, the line its 95 % interval, a rule through the baseline's.
struct ComparisonPlot {
    private static let width = 560.0
    private static let gutter = 170.0
    private static let valueGutter = 96.0
    private static let rowHeight = 24.0

    private let table: ComparisonTable
    private let place: Int

    /// A plot of the column at `place`.
    init(_ table: ComparisonTable, column place: Int) {
        self.table = table
        self.place = place
    }

    /// A panel with its heading.
    func html() -> String {
        let column = table.columns[place]
        let better =
            switch column.isHigherBetter {
            case true?: "higher is better"
            case false?: "lower is better"
            case nil: ""
            }
        return """
            <div class="panel">
            <div class="panel-head"><h4>\(HTMLText.escaped(column.heading))</h4>\
            <span class="quiet">\(better)</span></div>
            <div class="plot">\(picture())</div>
            </div>
            """
    }

    private func picture() -> String {
        let column = table.columns[place]
        let cells = table.rows.map { $0.cells[place] }
        let values = cells.compactMap(\.self).flatMap { [$0.value] + ($0.interval ?? []) }
        let (left, right) = (Self.gutter, Self.width - Self.valueGutter)
        let scale = PlotScale(.linear, over: values, tickCount: 4)
            .placed(from: left + 6, to: right - 6)
        let bottom = 14 + Double(table.rows.count) * Self.rowHeight
        var plot = SVGPlot(
            width: Self.width,
            height: bottom + 26,
            label: "\(column.heading) of \(table.rows.count) models"
        )
        for tick in scale.ticks {
            guard let x = scale.position(tick.value) else { continue }
            plot.line(x, 8, x, bottom, "grid")
            plot.text(tick.text, x: x, y: bottom + 18, .middle)
        }
        let baseline = table.rows.firstIndex { $0.label == table.baseline }
        if let value = baseline.flatMap({ cells[$0]?.value }), let x = scale.position(value) {
            plot.line(x, 8, x, bottom, "median")
        }
        for (row, cell) in zip(table.rows.indices, cells) {
            let y = 8 + (Double(row) + 0.5) * Self.rowHeight
            let label = table.rows[row].label
            let name = HTMLText.shortened(label, to: 24)
            plot.text(name, x: left - 10, y: y + 4, .end, tooltip: label)
            guard let cell, let x = scale.position(cell.value) else { continue }
            let ends = (cell.interval ?? []).compactMap(scale.position)
            if ends.count == 2 { plot.line(ends[0], y, ends[1], y, "reach") }
            let text = ComparisonTable.text(cell, column)
            plot.mark(
                .circle,
                x: x,
                y: y,
                radius: 4.2,
                style: "mark k0",
                tooltip: "\(label): \(text)"
            )
            let value = NumberText.fixed(cell.value, column.decimals) + cell.mark
            plot.text(value, x: right + 10, y: y + 4, style: "value")
        }
        return plot.svg()
    }
}
