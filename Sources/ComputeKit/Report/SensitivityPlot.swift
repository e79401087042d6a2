/// The error of every candidate format of every module group, the chosen ones marked.
struct SensitivityPlot {
    private static let width = 1140.0
    private static let gutter = 210.0
    private static let chosenGutter = 190.0
    private static let rowHeight = 24.0
    private static let markers: [SVGPlot.Marker] = [
        .circle, .square, .triangle, .diamond, .cross, .wedge,
    ]
    /// Rows of the picture; the table below it has all groups.
    static let maximumRowCount = 60

    private let groups: [ReportPage.Sensitivity]
    private let formats: [String]

    /// A plot of those groups whose chosen format costs most, in their given order.
    init(_ sensitivities: [ReportPage.Sensitivity]) {
        formats = ReportPage.Sensitivity.formats(of: sensitivities)
        let cost = { (group: ReportPage.Sensitivity) -> Double in
            let error = group.chosen?.error ?? group.candidates.map(\.error).max() ?? 0
            return error.isNaN ? -.infinity : error
        }
        let kept = sensitivities.enumerated()
            .sorted { cost($0.element) > cost($1.element) }
            .prefix(Self.maximumRowCount)
        groups = kept.sorted { $0.offset < $1.offset }.map(\.element)
    }

    /// The picture below its legend.
    func html() -> String {
        let entries = formats.map { format in
            var sample = SVGPlot(width: 16, height: 16, label: "")
            let style = "candidate \(style(format))"
            sample.mark(marker(format), x: 8, y: 8, radius: 4.2, style: style)
            return "<li>\(sample.svg())\(HTMLText.escaped(format))</li>"
        }
        var ring = SVGPlot(width: 20, height: 16, label: "")
        ring.mark(.circle, x: 10, y: 8, radius: 7, style: "ring")
        let legend = entries.joined() + "<li>\(ring.svg())chosen</li>"
        return "<ul class=\"legend\">\(legend)</ul>\n<div class=\"plot\">\(picture())</div>"
    }

    private func picture() -> String {
        let errors = groups.flatMap(\.candidates).map(\.error).filter(\.isFinite)
        // Differences of a loss can be negative; only errors proper have a logarithm.
        let isLogarithmic = errors.allSatisfy { $0 >= 0 } && errors.contains { $0 > 0 }
        let hasZeros = isLogarithmic && errors.contains(0)
        let left = Self.gutter + (hasZeros ? 34 : 8)
        let scale = PlotScale(isLogarithmic ? .logarithmic : .linear, over: errors, tickCount: 8)
            .placed(from: left, to: Self.width - Self.chosenGutter)
        let bottom = Double(groups.count) * Self.rowHeight + 20
        var plot = SVGPlot(width: Self.width, height: bottom + 40, label: label)
        for tick in scale.ticks {
            guard let x = scale.position(tick.value) else { continue }
            plot.line(x, 16, x, bottom, "grid")
            plot.text(tick.text, x: x, y: bottom + 18, .middle)
        }
        if hasZeros {
            plot.line(Self.gutter + 8, 16, Self.gutter + 8, bottom, "band")
            plot.text("0", x: Self.gutter + 8, y: bottom + 18, .middle)
        }
        let end = Self.width - Self.chosenGutter
        plot.text("Error", x: end, y: bottom + 35, .end, style: "axis-title")
        plot.text("Chosen", x: end + 24, y: 10, style: "axis-title")
        for (row, group) in groups.enumerated() {
            draw(group, y: 28 + Double(row) * Self.rowHeight, scale, into: &plot)
        }
        return plot.svg()
    }

    private func draw(
        _ group: ReportPage.Sensitivity,
        y: Double,
        _ scale: PlotScale,
        into plot: inout SVGPlot
    ) {
        let name = HTMLText.shortened(group.group, to: 30)
        plot.text(name, x: Self.gutter - 12, y: y + 4, .end, tooltip: group.group)
        let placed = group.candidates.compactMap { candidate in
            let zero = candidate.error == 0 ? Self.gutter + 8 : nil
            return (scale.position(candidate.error) ?? zero).map { (candidate, $0) }
        }
        plot.path(placed.map { ($0.1, y) }.sorted { $0.0 < $1.0 }, "reach")
        for (candidate, x) in placed {
            let chosen = candidate.isChosen ? ", chosen" : ""
            let bits = NumberText.significant(candidate.bitsPerWeight)
            let error = NumberText.significant(candidate.error)
            if candidate.isChosen {
                plot.mark(.circle, x: x, y: y, radius: 8.5, style: "ring")
            }
            plot.mark(
                marker(candidate.format),
                x: x,
                y: y,
                radius: 4.2,
                style: "candidate \(style(candidate.format))",
                tooltip: "\(group.group), \(candidate.format): "
                    + "\(bits) bits, error \(error)\(chosen)"
            )
        }
        if let chosen = group.chosen {
            let format = HTMLText.shortened(chosen.format, to: 16)
            let text = "\(format), \(NumberText.significant(chosen.bitsPerWeight)) bits"
            plot.text(text, x: Self.width - Self.chosenGutter + 24, y: y + 4, style: "value")
        }
    }

    private func marker(_ format: String) -> SVGPlot.Marker {
        Self.markers[(formats.firstIndex(of: format) ?? 0) % Self.markers.count]
    }

    private func style(_ format: String) -> String {
        "k\((formats.firstIndex(of: format) ?? 0) % 7)"
    }

    private var label: String {
        "Error of \(formats.count) candidate formats for \(groups.count) module groups"
    }
}
