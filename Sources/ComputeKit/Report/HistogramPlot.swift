/// How many layers have which SQNR.
struct HistogramPlot {
    private static let width = 1140.0
    private static let height = 236.0

    private let values: [Double]
    private let exactCount: Int

    /// A histogram of `layers`.
    init(layers: [ReportPage.Layer]) {
        values = layers.map(\.sqnrDecibels).filter(\.isFinite).sorted()
        exactCount = layers.count { $0.sqnrDecibels == .infinity }
    }

    /// The picture, or a sentence if no layer has a finite SQNR.
    func html() -> String {
        guard !values.isEmpty else {
            return "<p>No layer has a finite SQNR; \(exactCount) are exact.</p>"
        }
        return "<div class=\"plot\">\(picture())</div>"
    }

    private func picture() -> String {
        // About the square root of the count, so that most bins hold several layers.
        let wanted = Int(Double(values.count).squareRoot().rounded()) * 2
        let x = PlotScale(.linear, over: values, tickCount: max(6, min(40, wanted)))
        let edges = x.ticks.map(\.value)
        let counts = counts(between: edges)
        let y = PlotScale(.count, over: counts.map(Double.init) + [0], tickCount: 4)
        let frame = PlotFrame(
            width: Self.width,
            height: Self.height,
            x: x.labelled(atMost: 20),
            y: y
        )
        var plot = SVGPlot(width: Self.width, height: Self.height, label: label)
        frame.draw(into: &plot, xTitle: "SQNR, dB", yTitle: "Layers")
        for (bin, count) in counts.enumerated() where count > 0 {
            guard let left = frame.x.position(edges[bin]),
                let right = frame.x.position(edges[bin + 1]),
                let top = frame.y.position(Double(count))
            else { continue }
            let range = "\(x.ticks[bin].text) to \(x.ticks[bin + 1].text) dB"
            plot.rectangle(
                x: left + 1,
                y: top,
                width: max(1, right - left - 2),
                height: frame.bottom - top,
                "bar",
                tooltip: "\(range): \(count) layer\(count == 1 ? "" : "s")"
            )
        }
        drawMedian(frame, into: &plot)
        return plot.svg()
    }

    private func counts(between edges: [Double]) -> [Int] {
        var counts = [Int](repeating: 0, count: max(1, edges.count - 1))
        for value in values {
            let bin = (edges.firstIndex { $0 > value } ?? edges.count - 1) - 1
            counts[max(0, min(counts.count - 1, bin))] += 1
        }
        return edges.count < 2 ? [] : counts
    }

    private func drawMedian(_ frame: PlotFrame, into plot: inout SVGPlot) {
        let median = values[values.count / 2]
        guard let x = frame.x.position(median) else {
            return
        }
        let isLate = x > Self.width / 2
        plot.line(x, frame.top - 10, x, frame.bottom, "median")
        plot.text(
            "median \(NumberText.decibels(median)) dB",
            x: x + (isLate ? -6 : 6),
            y: frame.top - 2,
            isLate ? .end : .start
        )
    }

    private var label: String {
        let exact = exactCount > 0 ? "; \(exactCount) more are exact" : ""
        return "Histogram of SQNR over \(values.count) layers, median "
            + "\(NumberText.decibels(values[values.count / 2])) dB\(exact)"
    }
}
