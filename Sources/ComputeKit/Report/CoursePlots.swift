/// The section about how a training went.
struct CoursePlots {
    private static let width = 1140.0
    private static let height = 260.0
    /// Points of a line beyond which they are too dense for marks of their own.
    private static let markedPoints = 120

    private let course: ReportPage.Course

    /// The section of `course`.
    init(_ course: ReportPage.Course) {
        self.course = course
    }

    /// The section; nothing if there is nothing to show.
    func html() -> String {
        var figures = course.curves.filter { !Self.values(of: $0).isEmpty }.map { curve in
            ReportPlots.figure(
                HTMLText.escaped(curve.title),
                HTMLText.escaped(curve.note),
                legend(curve) + picture(curve)
            )
        }
        // Formats differ by more than a training changes: one scale for all would show nothing else.
        var shown: Set<String?> = []
        let formats = course.samples.map(\.format).filter { shown.insert($0).inserted }
        for format in formats {
            let samples = course.samples.filter { $0.format == format }
            guard let map = CourseMap(samples: samples) else { continue }
            let name = format.map { " in \($0)" } ?? ""
            figures.append(
                ReportPlots.figure(
                    HTMLText.escaped("Signal to quantization noise over time\(name)"),
                    "The lowest of each decoder layer's modules at each logged step, in dB; darker is better.",
                    map.html()
                )
            )
        }
        guard !figures.isEmpty else { return "" }
        return "<section>\n<h2>Training</h2>\n\(figures.joined(separator: "\n"))\n</section>"
    }

    private static func values(of curve: ReportPage.Course.Curve) -> [Double] {
        curve.lines.flatMap { $0.points.map(\.value) }.filter(\.isFinite)
    }

    private func legend(_ curve: ReportPage.Course.Curve) -> String {
        guard curve.lines.count > 1 else { return "" }
        let items = curve.lines.enumerated().map { place, line in
            var sample = SVGPlot(width: 28, height: 12, label: "")
            sample.path([(0, 6), (28, 6)], "series k\(place)")
            return "<li>\(sample.svg())\(HTMLText.escaped(line.name))</li>"
        }
        return "<ul class=\"legend\">\(items.joined())</ul>"
    }

    private func picture(_ curve: ReportPage.Course.Curve) -> String {
        let steps = curve.lines.flatMap { $0.points.map { Double($0.step) } }
        let levels = curve.levels.filter(\.value.isFinite)
        let frame = PlotFrame(
            width: Self.width,
            height: Self.height,
            x: PlotScale(.count, over: steps + [0], tickCount: 12).labelled(atMost: 20),
            y: PlotScale(
                curve.isLogarithmic ? .logarithmic : .linear,
                over: Self.values(of: curve) + levels.map(\.value)
            )
        )
        var plot = SVGPlot(width: Self.width, height: Self.height, label: label(of: curve))
        frame.draw(into: &plot, xTitle: "Step", yTitle: curve.title)
        for level in levels {
            guard let y = frame.y.position(level.value) else { continue }
            plot.line(frame.left, y, frame.right, y, "median")
            let text = "\(level.name) \(NumberText.significant(level.value))"
            plot.text(text, x: frame.right, y: y - 4, .end)
        }
        for (place, line) in curve.lines.enumerated() {
            draw(line, place, frame, into: &plot)
        }
        return "<div class=\"plot\">\(plot.svg())</div>"
    }

    private func draw(
        _ line: ReportPage.Course.Curve.Line,
        _ place: Int,
        _ frame: PlotFrame,
        into plot: inout SVGPlot
    ) {
        let points = line.points.compactMap { point -> (x: Double, y: Double, text: String)? in
            guard let x = frame.x.position(Double(point.step)),
                let y = frame.y.position(point.value)
            else { return nil }
            let value = NumberText.significant(point.value)
            return (x, y, "step \(point.step): \(line.name) \(value)")
        }
        plot.path(points.map { ($0.x, $0.y) }, "series k\(place)")
        guard points.count <= Self.markedPoints else { return }
        for point in points {
            plot.mark(
                .circle,
                x: point.x,
                y: point.y,
                radius: 2.6,
                style: "mark k\(place)",
                tooltip: point.text
            )
        }
    }

    private func label(of curve: ReportPage.Course.Curve) -> String {
        let ends = curve.lines.compactMap { line -> String? in
            guard let first = line.points.first, let last = line.points.last else { return nil }
            let values = [first.value, last.value].map(NumberText.significant)
            return
                "\(line.name) from \(values[0]) at step \(first.step) to \(values[1]) at step \(last.step)"
        }
        return "\(curve.title): \(ends.joined(separator: "; "))"
    }
}
