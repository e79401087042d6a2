/// Every decoder layer's error as a training went on, as a map of cells: a row per layer, a column per step.
struct CourseMap {
    private struct Cell {
        var decibels: Double
        var module: String

        var text: String {
            decibels == .infinity ? "exact" : "\(NumberText.decibels(decibels)) dB"
        }
    }

    private static let width = 1140.0
    private static let gutter = 92.0
    private static let footer = 24.0
    private static let maximumColumns = 60
    private static let maximumRows = 130
    private static let shadeCount = 8

    /// A logged step, and the worst module of each decoder layer; nil stands for modules outside of these.
    private let columns: [(step: Int, worst: [Int?: Cell])]
    /// Rows in order.
    private let indices: [Int?]
    private let range: (low: Double, high: Double)

    /// A map of `samples`; nil if they hold nothing to show.
    init?(samples: [ReportPage.Course.Sample]) {
        // The first and the last always stand there.
        let stride = max(1, (samples.count + Self.maximumColumns - 2) / (Self.maximumColumns - 1))
        columns = samples.enumerated().filter { place, _ in
            place % stride == 0 || place == samples.count - 1
        }.map { ($1.step, Self.worst(of: $1.sqnrDecibels)) }
        let found = Set(columns.flatMap(\.worst.keys))
        let layers = found.compactMap(\.self).sorted().prefix(Self.maximumRows).map(Optional.some)
        indices = layers + (found.contains(nil) ? [nil] : [])
        let values = columns.flatMap { $0.worst.values.map(\.decibels) }.filter(\.isFinite)
        guard let low = values.min(), let high = values.max() else { return nil }
        range = (low, high)
    }

    private static func worst(of modules: [String: Double]) -> [Int?: Cell] {
        modules.filter { !$0.value.isNaN }.reduce(into: [:]) { worst, module in
            let cell = Cell(decibels: module.value, module: module.key)
            let index = ModuleKind.layerIndex(of: module.key)
            if let other = worst[index],
                (other.decibels, other.module) < (cell.decibels, cell.module)
            {
                return
            }
            worst[index] = cell
        }
    }

    /// The map below its legend.
    func html() -> String {
        "\(legend())\n<div class=\"plot\">\(picture())</div>"
    }

    private func legend() -> String {
        let items = [0, Self.shadeCount - 1].map { shade in
            var sample = SVGPlot(width: 14, height: 14, label: "")
            sample.rectangle(x: 1, y: 1, width: 12, height: 12, "b\(shade)", tooltip: "")
            let value = shade == 0 ? range.low : range.high
            return "<li>\(sample.svg())\(NumberText.decibels(value)) dB</li>"
        }
        return "<ul class=\"legend\">\(items.joined())</ul>"
    }

    private func picture() -> String {
        let rowHeight = indices.count > 60 ? 8.0 : 14.0
        let height = Double(indices.count) * rowHeight + Self.footer
        var plot = SVGPlot(width: Self.width, height: height, label: label)
        let cellWidth = min(64, (Self.width - Self.gutter) / Double(max(columns.count, 1)))
        let rowStride = rowHeight < 12 ? 4 : 1
        for (row, index) in indices.enumerated() {
            let y = Double(row) * rowHeight
            if row % rowStride == 0 || index == nil {
                plot.text(
                    index.map { "layer \($0)" } ?? "others",
                    x: Self.gutter - 8,
                    y: y + rowHeight - 3,
                    .end
                )
            }
            for (column, sample) in columns.enumerated() {
                guard let cell = sample.worst[index] else { continue }
                plot.rectangle(
                    x: Self.gutter + Double(column) * cellWidth,
                    y: y + 0.5,
                    width: max(0.5, cellWidth - (cellWidth > 6 ? 1 : 0)),
                    height: rowHeight - 1,
                    "b\(shade(cell.decibels))",
                    tooltip:
                        "step \(sample.step): \(cell.module) \(cell.text)"
                )
            }
        }
        let columnStride = max(1, Int((40 / cellWidth).rounded(.up)))
        for column in Swift.stride(from: 0, to: columns.count, by: columnStride) {
            let x = Self.gutter + (Double(column) + 0.5) * cellWidth
            plot.text(String(columns[column].step), x: x, y: height - 8, .middle)
        }
        plot.text("Step", x: Self.gutter - 8, y: height - 8, .end, style: "axis-title")
        return plot.svg()
    }

    private func shade(_ decibels: Double) -> Int {
        guard decibels.isFinite, range.high > range.low else { return Self.shadeCount - 1 }
        let share = (decibels - range.low) / (range.high - range.low)
        return max(0, min(Self.shadeCount - 1, Int(share * Double(Self.shadeCount))))
    }

    private var label: String {
        "Lowest signal to quantization noise of each decoder layer at \(columns.count) steps, from "
            + "\(NumberText.decibels(range.low)) to \(NumberText.decibels(range.high)) dB"
    }
}
