/// One measure of every layer against the decoder layer's index, in a panel per module family.
///
/// A panel has at most four kinds of module, each with its own colour, mark and dash. All panels
/// share the vertical scale.
struct LayerPlot {
    /// What is plotted and how it is written.
    struct Measure {
        /// The vertical axis's title, with its unit.
        var title: String
        /// The value of a layer.
        var value: (ReportPage.Layer) -> Double
        /// A value with its unit, for tooltips.
        var text: (Double) -> String
        /// The vertical scale over all values.
        var scale: PlotScale
        /// The text of the strip for infinite values.
        var infinity: String?
        /// The text of the strip for zeros.
        var zero: String?
    }

    /// A layer with its place among the others.
    private struct Point {
        var layer: ReportPage.Layer
        var kind: ModuleKind
        var index: Int?
    }

    /// Other modules that a line of text can hold; more of them have a panel.
    private static let maximumListed = 6

    private let measure: Measure
    private let panels: [(family: ModuleKind.Family, points: [Point])]
    private let listed: [ReportPage.Layer]

    /// Panels over `layers` for those families that have any.
    init(layers: [ReportPage.Layer], measure: Measure) {
        self.measure = measure
        let points = layers.map { layer in
            let kind = ModuleKind(module: layer.module)
            let index = ModuleKind.layerIndex(of: layer.module)
            return Point(layer: layer, kind: index == nil ? .other : kind, index: index)
        }
        panels = ModuleKind.Family.allCases.compactMap { family in
            let members = points.filter { $0.kind.family == family }
            let isListed = family == .other && members.count <= Self.maximumListed
            return members.isEmpty || isListed ? nil : (family, members)
        }
        let others = points.filter { $0.kind == .other }
        listed = others.count <= Self.maximumListed ? others.map(\.layer) : []
    }

    /// The panels side by side; one without a partner takes the whole width.
    func html() -> String {
        let pieces = panels.enumerated().map { place, panel in
            let isWide = place == panels.count - 1 && panels.count % 2 == 1
            return """
                <div class="panel\(isWide ? " wide" : "")">
                <div class="panel-head"><h4>\(panel.family.rawValue)</h4>\(legend(panel.points))</div>
                <div class="plot">\(picture(panel.family, panel.points, isWide: isWide))</div>
                </div>
                """
        }
        return "<div class=\"panels\">\n\(pieces.joined(separator: "\n"))\n</div>\n" + list()
    }

    private func list() -> String {
        let texts = listed.map { layer in
            let module = HTMLText.breakable(layer.module)
            let value = HTMLText.escaped(measure.text(measure.value(layer)))
            return "<span class=\"module\">\(module)</span> \(value)"
        }
        return texts.isEmpty
            ? "" : "<p class=\"note listed\">Other modules: \(texts.joined(separator: ", "))</p>"
    }

    private func kinds(of points: [Point]) -> [ModuleKind] {
        let present = Set(points.map(\.kind))
        return ModuleKind.allCases.filter(present.contains)
    }

    private func legend(_ points: [Point]) -> String {
        let entries = kinds(of: points).filter { $0 != .other }.map { kind in
            var sample = SVGPlot(width: 30, height: 14, label: "")
            sample.line(1, 7, 29, 7, "series \(kind.styleClass)")
            sample.mark(kind.marker, x: 15, y: 7, style: "mark \(kind.styleClass)")
            return "<li>\(sample.svg())\(kind.rawValue)</li>"
        }
        return entries.isEmpty ? "" : "<ul class=\"legend\">\(entries.joined())</ul>"
    }

    private func picture(
        _ family: ModuleKind.Family,
        _ points: [Point],
        isWide: Bool
    ) -> String {
        let width = isWide ? 1140.0 : 556
        // Without an index for all, other modules stand in the order of the report.
        let isOrdered = points.contains { $0.index == nil }
        let places = points.enumerated().map { Double(isOrdered ? $0 + 1 : $1.index ?? 0) }
        let frame = PlotFrame(
            width: width,
            height: 280,
            x: PlotScale(
                .index,
                over: places,
                tickCount: isWide ? 16 : 8
            ),
            y: measure.scale,
            upperBand: measure.infinity,
            lowerBand: measure.zero
        )
        var plot = SVGPlot(width: width, height: 280, label: label(family, points))
        frame.draw(
            into: &plot,
            xTitle: isOrdered ? "Place in the table" : "Decoder layer",
            yTitle: measure.title
        )
        let radius = points.count > 400 ? 2.2 : 3.4
        for kind in kinds(of: points) {
            let series = zip(places, points).filter { $1.kind == kind }
            if kind != .other {
                for run in runs(series, frame) {
                    plot.path(run, "series \(kind.styleClass)")
                }
            }
            for (place, point) in series {
                guard let x = frame.x.position(place), let y = y(of: point, frame) else { continue }
                plot.mark(
                    kind.marker,
                    x: x,
                    y: y,
                    radius: radius,
                    style: "mark \(kind.styleClass)",
                    tooltip: "\(point.layer.module): \(measure.text(measure.value(point.layer)))"
                )
            }
        }
        return plot.svg()
    }

    /// The lines of a kind, broken where a value is off the scale.
    ///
    /// They pass through the middle one where a layer has several, as experts are.
    private func runs(
        _ series: [(Double, Point)],
        _ frame: PlotFrame
    ) -> [[(x: Double, y: Double)]] {
        var runs: [[(x: Double, y: Double)]] = [[]]
        let groups = Dictionary(grouping: series, by: \.0).sorted { $0.key < $1.key }
        for (place, members) in groups {
            let heights = members.compactMap { frame.y.position(measure.value($0.1.layer)) }
            guard let x = frame.x.position(place), !heights.isEmpty else {
                runs.append([])
                continue
            }
            runs[runs.count - 1].append((x, heights.sorted()[heights.count / 2]))
        }
        return runs
    }

    private func y(of point: Point, _ frame: PlotFrame) -> Double? {
        let value = measure.value(point.layer)
        if value == .infinity {
            return frame.upperBand?.y
        }
        if value == 0, let band = frame.lowerBand {
            return band.y
        }
        return frame.y.position(value)
    }

    private func label(_ family: ModuleKind.Family, _ points: [Point]) -> String {
        let values = points.map { measure.value($0.layer) }.filter { !$0.isNaN }
        guard let least = values.min(), let greatest = values.max() else {
            return "\(measure.title) by layer, \(family.rawValue): no values"
        }
        return "\(measure.title) by layer, \(family.rawValue), \(points.count) modules: "
            + "\(measure.text(least)) to \(measure.text(greatest))"
    }
}
