/// A picture under construction, as inline SVG whose colours come from the page's style.
struct SVGPlot {
    /// The shape of a point.
    enum Marker {
        case circle
        case square
        case triangle
        case diamond
        case cross
        case wedge
    }

    /// Where a text's position lies in it.
    enum Anchor: String {
        case start
        case middle
        case end
    }

    /// Width in the picture's own units, pixels at its natural size.
    let width: Double
    /// Height in the same units.
    let height: Double
    /// What the picture shows, for who cannot see it.
    let label: String
    private var body = ""

    /// An empty picture.
    init(width: Double, height: Double, label: String) {
        self.width = width
        self.height = height
        self.label = label
    }

    /// Draws a straight line.
    mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
        let ends = "x1=\"\(n(x1))\" y1=\"\(n(y1))\" x2=\"\(n(x2))\" y2=\"\(n(y2))\""
        body += "<line class=\"\(style)\" \(ends)/>\n"
    }

    /// Draws a line through points.
    mutating func path(_ points: [(x: Double, y: Double)], _ style: String) {
        guard points.count > 1 else {
            return
        }
        let places = points.map { "\(n($0.x)),\(n($0.y))" }.joined(separator: " ")
        body += "<polyline class=\"\(style)\" points=\"\(places)\"/>\n"
    }

    /// Draws a filled rectangle; `tooltip` is shown when a pointer rests on it.
    mutating func rectangle(
        x: Double,
        y: Double,
        width: Double,
        height: Double,
        _ style: String,
        tooltip: String
    ) {
        let place = "x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(width))\" height=\"\(n(height))\""
        body += "<rect class=\"\(style)\" \(place)>\(Self.title(tooltip))</rect>\n"
    }

    /// Writes a text with its baseline at `y`.
    mutating func text(
        _ text: String,
        x: Double,
        y: Double,
        _ anchor: Anchor = .start,
        style: String = "label",
        tooltip: String = ""
    ) {
        let place = "x=\"\(n(x))\" y=\"\(n(y))\" text-anchor=\"\(anchor.rawValue)\""
        let content = Self.title(tooltip) + HTMLText.escaped(text)
        body += "<text class=\"\(style)\" \(place)>\(content)</text>\n"
    }

    /// Draws a point; `tooltip` is shown when a pointer rests on it.
    mutating func mark(
        _ marker: Marker,
        x: Double,
        y: Double,
        radius: Double = 3.4,
        style: String,
        tooltip: String = ""
    ) {
        let outline = Self.outline(marker, radius)
            .map { "\(n(x + $0.0)),\(n(y + $0.1))" }
            .joined(separator: " ")
        let shape =
            outline.isEmpty
            ? "circle class=\"\(style)\" cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"\(n(radius))\""
            : "polygon class=\"\(style)\" points=\"\(outline)\""
        let end = outline.isEmpty ? "circle" : "polygon"
        body += "<\(shape)>\(Self.title(tooltip))</\(end)>\n"
    }

    /// The picture as an element.
    func svg() -> String {
        let box = "viewBox=\"0 0 \(n(width)) \(n(height))\""
        let size = width > 200 ? "" : " width=\"\(n(width))\" height=\"\(n(height))\""
        let role =
            label.isEmpty
            ? "aria-hidden=\"true\"" : "role=\"img\" aria-label=\"\(HTMLText.escaped(label))\""
        return "<svg \(box)\(size) preserveAspectRatio=\"xMinYMid\" \(role)>\n\(body)</svg>"
    }

    private static func title(_ text: String) -> String {
        text.isEmpty ? "" : "<title>\(HTMLText.escaped(text))</title>"
    }

    /// The corners of a marker around its centre, sized to look as large as a circle would.
    private static func outline(_ marker: Marker, _ r: Double) -> [(Double, Double)] {
        let (s, d, w) = (r * 0.9, r * 1.3, r * 0.4)
        return switch marker {
        case .circle: []
        case .square: [(-s, -s), (s, -s), (s, s), (-s, s)]
        case .triangle: [(0, -d), (d, r * 0.9), (-d, r * 0.9)]
        case .wedge: [(0, d), (d, -r * 0.9), (-d, -r * 0.9)]
        case .diamond: [(0, -d), (d, 0), (0, d), (-d, 0)]
        case .cross:
            [
                (-w, -d), (w, -d), (w, -w), (d, -w), (d, w), (w, w),
                (w, d), (-w, d), (-w, w), (-d, w), (-d, -w), (-w, -w),
            ]
        }
    }

    /// A coordinate in tenths; what is not finite would spoil the whole picture.
    private func n(_ value: Double) -> String {
        let tenths = value.isFinite ? (Swift.max(-1e6, Swift.min(1e6, value)) * 10).rounded() : 0
        return tenths.remainder(dividingBy: 10) == 0
            ? String(Int(tenths / 10)) : String(tenths / 10)
    }
}
