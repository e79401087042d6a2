/// The axes of a plot: grid lines, tick texts and titles around the area for data.
struct PlotFrame {
    /// A strip beside the vertical scale for values that have no place on it.
    struct Band {
        /// What the values in it are, in place of a tick's text.
        var text: String
        /// Where their points lie.
        var y: Double
    }

    /// The area's edges.
    let left: Double
    let right: Double
    let top: Double
    let bottom: Double
    /// The horizontal scale, placed.
    let x: PlotScale
    /// The vertical scale, placed.
    let y: PlotScale
    /// The strip for values above all others.
    let upperBand: Band?
    /// The strip for values below all others.
    let lowerBand: Band?

    // A band's middle is far enough from the nearest tick for both to have a text.
    private static let bandHeight = 34.0
    private static let bandMiddle = 10.0

    /// A frame inside a picture of `width` by `height`, with room for ticks and titles.
    init(
        width: Double,
        height: Double,
        x: PlotScale,
        y: PlotScale,
        left: Double = 56,
        upperBand: String? = nil,
        lowerBand: String? = nil
    ) {
        self.left = left
        right = width - 14
        top = 26
        bottom = height - 40
        let upper = upperBand == nil ? 0 : Self.bandHeight
        let lower = lowerBand == nil ? 0 : Self.bandHeight
        self.x = x.placed(from: left + 8, to: right - 8)
        self.y = y.placed(from: bottom - lower, to: top + upper)
        self.upperBand = upperBand.map { Band(text: $0, y: 26 + Self.bandMiddle) }
        self.lowerBand = lowerBand.map { Band(text: $0, y: height - 40 - Self.bandMiddle) }
    }

    /// Draws the frame, before the data.
    func draw(into plot: inout SVGPlot, xTitle: String, yTitle: String) {
        for tick in y.ticks {
            guard let place = y.position(tick.value) else { continue }
            plot.line(left, place, right, place, "grid")
            plot.text(tick.text, x: left - 8, y: place + 4, .end)
        }
        for band in [upperBand, lowerBand].compactMap(\.self) {
            plot.line(left, band.y, right, band.y, "band")
            plot.text(band.text, x: left - 8, y: band.y + 4, .end)
        }
        for tick in x.ticks {
            guard let place = x.position(tick.value) else { continue }
            plot.line(place, bottom, place, bottom + 4, "axis")
            plot.text(tick.text, x: place, y: bottom + 18, .middle)
        }
        plot.line(left, bottom, right, bottom, "axis")
        plot.text(yTitle, x: 0, y: 12, style: "axis-title")
        plot.text(xTitle, x: right, y: bottom + 35, .end, style: "axis-title")
    }
}
