/// Bits per weight as a map of cells, a row per kind of module and a column per decoder layer.
struct FormatMap {
    /// The layers of one cell: several where a decoder layer has experts.
    private struct Cell {
        var layers: [ReportPage.Layer]

        var bits: Double {
            layers.reduce(0) { $0 + $1.bitsPerWeight } / Double(layers.count)
        }

        var tooltip: String {
            let formats = Set(layers.map(\.format)).sorted().joined(separator: ", ")
            let more = layers.count > 1 ? " and \(layers.count - 1) more" : ""
            return "\(layers[0].module)\(more): \(formats), \(NumberText.fixed(bits, 2)) bits"
        }
    }

    private static let width = 1140.0
    private static let gutter = 92.0
    private static let rowHeight = 24.0
    private static let shadeCount = 8
    /// Rows beyond the seven kinds; what is left goes into a row of others.
    private static let maximumNamedRows = 12
    /// Cells in a row of modules without a layer index.
    private static let stripLength = 60
    /// Modules without a layer index that a line of text can hold.
    private static let maximumListed = 6

    private let indices: [Int]
    private let rows: [(name: String, cells: [Int: Cell])]
    private let strip: [Cell]
    private let listed: [ReportPage.Layer]
    private let levels: [Double]

    /// A map of `layers`.
    init(layers: [ReportPage.Layer]) {
        var byRow: [String: [Int: Cell]] = [:]
        var names: [String] = ModuleKind.allCases.map(\.rawValue).filter { $0 != "others" }
        var strip: [Cell] = []
        for layer in layers {
            guard let index = ModuleKind.layerIndex(of: layer.module) else {
                strip.append(Cell(layers: [layer]))
                continue
            }
            var name = ModuleKind.lastPart(of: layer.module)
            if !names.contains(name) {
                if names.count < 7 + Self.maximumNamedRows {
                    names.append(name)
                } else {
                    name = "others"
                }
            }
            byRow[name, default: [:]][index, default: Cell(layers: [])].layers.append(layer)
        }
        rows = (names + ["others"]).compactMap { name in byRow[name].map { (name, $0) } }
        indices = Set(rows.flatMap(\.cells.keys)).sorted()
        let cells = rows.flatMap(\.cells.values) + strip
        listed = strip.count <= Self.maximumListed ? strip.flatMap(\.layers) : []
        self.strip = listed.isEmpty ? strip : []
        levels = Set(cells.map(\.bits).filter(\.isFinite).map { ($0 * 100).rounded() / 100 })
            .sorted()
    }

    /// The map below its legend.
    func html() -> String {
        let map = rows.isEmpty && strip.isEmpty ? "" : "<div class=\"plot\">\(picture())</div>"
        return "\(legend())\n\(map)\n\(list())"
    }

    private func list() -> String {
        let texts = listed.map { layer in
            let bits = NumberText.fixed(layer.bitsPerWeight, 2)
            let format = HTMLText.escaped(layer.format)
            let module = HTMLText.breakable(layer.module)
            return "<span class=\"module\">\(module)</span> \(bits) bits, \(format)"
        }
        return texts.isEmpty
            ? "" : "<p class=\"note listed\">Other modules: \(texts.joined(separator: "; "))</p>"
    }

    private func legend() -> String {
        let entries: [(shade: Int, text: String)]
        if levels.count <= Self.shadeCount {
            entries = levels.map { (shade($0), "\(NumberText.fixed($0, 2)) bits") }
        } else {
            entries = (0..<Self.shadeCount).compactMap { shade in
                let members = levels.filter { self.shade($0) == shade }
                guard let low = members.first, let high = members.last else {
                    return nil
                }
                return (shade, "\(NumberText.fixed(low, 2))–\(NumberText.fixed(high, 2)) bits")
            }
        }
        let items = entries.map { entry in
            var sample = SVGPlot(width: 14, height: 14, label: "")
            sample.rectangle(x: 1, y: 1, width: 12, height: 12, "b\(entry.shade)", tooltip: "")
            return "<li>\(sample.svg())\(entry.text)</li>"
        }
        return "<ul class=\"legend\">\(items.joined())</ul>"
    }

    private func picture() -> String {
        let stripRows = (strip.count + Self.stripLength - 1) / Self.stripLength
        let gap = rows.isEmpty ? 0 : strip.isEmpty ? 18.0 : 34.0
        let stripTop = Double(rows.count) * Self.rowHeight + gap
        let height = stripTop + Double(stripRows) * Self.rowHeight + (stripRows > 0 ? 24 : 4)
        var plot = SVGPlot(width: Self.width, height: height, label: label)
        drawRows(into: &plot)
        let cellWidth = (Self.width - Self.gutter) / Double(Self.stripLength)
        for (place, cell) in strip.enumerated() {
            let (row, column) = place.quotientAndRemainder(dividingBy: Self.stripLength)
            let y = stripTop + Double(row) * Self.rowHeight + 20
            draw(
                cell,
                x: Self.gutter + Double(column) * cellWidth,
                y: y,
                width: cellWidth,
                into: &plot
            )
        }
        if !strip.isEmpty {
            let text = "Modules outside decoder layers, in the order of the table"
            plot.text(text, x: Self.gutter, y: stripTop + 12, style: "axis-title")
        }
        return plot.svg()
    }

    private func drawRows(into plot: inout SVGPlot) {
        guard !indices.isEmpty else {
            return
        }
        let cellWidth = min(64, (Self.width - Self.gutter) / Double(indices.count))
        for (row, entry) in rows.enumerated() {
            let y = Double(row) * Self.rowHeight
            plot.text(
                HTMLText.shortened(entry.name, to: 13),
                x: Self.gutter - 8,
                y: y + 16,
                .end,
                tooltip: entry.name
            )
            for (column, index) in indices.enumerated() {
                guard let cell = entry.cells[index] else { continue }
                let x = Self.gutter + Double(column) * cellWidth
                draw(cell, x: x, y: y, width: cellWidth, into: &plot)
            }
        }
        let baseline = Double(rows.count) * Self.rowHeight + 15
        let strides = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
        let stride = strides.first { Double($0) * cellWidth >= 26 } ?? indices.count
        for column in Swift.stride(from: 0, to: indices.count, by: stride) {
            let x = Self.gutter + (Double(column) + 0.5) * cellWidth
            plot.text(String(indices[column]), x: x, y: baseline, .middle)
        }
        plot.text("Layer", x: Self.gutter - 8, y: baseline, .end, style: "axis-title")
    }

    private func draw(
        _ cell: Cell,
        x: Double,
        y: Double,
        width: Double,
        into plot: inout SVGPlot
    ) {
        let shade = shade(cell.bits)
        let inset = width > 6 ? 1.0 : 0
        plot.rectangle(
            x: x,
            y: y + 1,
            width: max(0.5, width - inset),
            height: Self.rowHeight - 2,
            "b\(shade)",
            tooltip: cell.tooltip
        )
        if width >= 28 {
            let text = NumberText.significant(cell.bits)
            plot.text(text, x: x + (width - inset) / 2, y: y + 16, .middle, style: "t\(shade)")
        }
    }

    private func shade(_ bits: Double) -> Int {
        guard levels.count > 1, let low = levels.first, let high = levels.last, bits.isFinite
        else {
            return 2
        }
        let last = Double(Self.shadeCount - 1)
        if levels.count <= Self.shadeCount {
            let level = levels.firstIndex { $0 >= bits - 0.005 } ?? levels.count - 1
            return Int((Double(level) * last / Double(levels.count - 1)).rounded())
        }
        return max(0, min(7, Int(((bits - low) / (high - low) * last).rounded())))
    }

    private var label: String {
        let texts = levels.prefix(8).map { NumberText.fixed($0, 2) }.joined(separator: ", ")
        return "Bits per weight of each module by decoder layer: \(texts)"
    }
}
