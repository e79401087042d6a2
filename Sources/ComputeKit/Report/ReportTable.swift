/// Every layer in one table, in the model's order until a script sorts it.
struct ReportTable {
    /// A column of numbers.
    private struct Column: Sendable {
        var name: String
        var value: @Sendable (ReportPage.Layer) -> Double
        var text: @Sendable (ReportPage.Layer) -> String

        init(_ name: String, _ value: @escaping @Sendable (ReportPage.Layer) -> Double) {
            self.init(name, value) { NumberText.significant(value($0)) }
        }

        init(
            _ name: String,
            _ value: @escaping @Sendable (ReportPage.Layer) -> Double,
            text: @escaping @Sendable (ReportPage.Layer) -> String
        ) {
            self.name = name
            self.value = value
            self.text = text
        }
    }

    private static let storage: [Column] = [
        Column("Block", { Double($0.blockSize) }) {
            $0.blockSize > 0 ? String($0.blockSize) : "none"
        },
        Column("Bits", \.bitsPerWeight, text: { NumberText.fixed($0.bitsPerWeight, 2) }),
        Column("Bytes", { Double($0.byteCount) }, text: { NumberText.grouped($0.byteCount) }),
    ]

    private static let weights: [Column] = [
        Column("Mean", \.mean), Column("Std. dev.", \.standardDeviation),
        Column("Min", \.minimum), Column("Max", \.maximum), Column("amax", \.amax),
    ]

    private static let errors: [Column] = [
        Column("Mean abs.", \.meanAbsoluteError), Column("Mean sq.", \.meanSquaredError),
        Column("SQNR, dB", \.sqnrDecibels) { NumberText.decibels($0.sqnrDecibels, 2) },
        Column("Saturated", \.saturatedShare) { NumberText.percent($0.saturatedShare) },
    ]

    private let layers: [ReportPage.Layer]

    /// A table of `layers`.
    init(layers: [ReportPage.Layer]) {
        self.layers = layers
    }

    /// The section with the table, or nothing without layers.
    func html() -> String {
        guard !layers.isEmpty else {
            return ""
        }
        return """
            <section>
            <h2>Layers</h2>
            <div class="scroll page-wide" role="region" aria-label="Layers" tabindex="0">
            <table id="layers" class="sortable">
            \(head())
            <tbody>
            \(layers.map(row).joined(separator: "\n"))
            </tbody>
            </table>
            </div>
            </section>
            """
    }

    private func head() -> String {
        let texts = ["Module", "Shape", "Format"].enumerated()
            .map { "<th scope=\"col\" data-column=\"\($0)\">\($1)</th>" }
        let numbers = (Self.storage + Self.weights + Self.errors).enumerated().map {
            "<th scope=\"col\" class=\"number\" data-column=\"\($0 + 3)\">\($1.name)</th>"
        }
        let group = { (name: String, span: Int) in
            "<th scope=\"colgroup\" colspan=\"\(span)\">\(name)</th>"
        }
        let groups =
            group("Layer", 3) + group("Storage", Self.storage.count)
            + group("Weight values", Self.weights.count)
            + group("Quantization error", Self.errors.count)
        return """
            <thead>
            <tr class="groups">\(groups)</tr>
            <tr>\((texts + numbers).joined())</tr>
            </thead>
            """
    }

    private func row(_ layer: ReportPage.Layer) -> String {
        let warnings = layer.warnings.map {
            "<span class=\"warning\"><strong>Warning:</strong> \(HTMLText.escaped($0))</span>"
        }
        let module = HTMLText.breakable(layer.module)
        let shape = layer.shape.map(String.init).joined(separator: "×")
        let format = HTMLText.escaped(layer.format)
        let numbers = (Self.storage + Self.weights + Self.errors).map { column in
            let value = sortKey(column.value(layer))
            let text = HTMLText.escaped(column.text(layer))
            return "<td class=\"number\" data-value=\"\(value)\">\(text)</td>"
        }
        return """
            <tr><th scope="row"><span class="module">\(module)</span>\(warnings.joined())</th>\
            <td>\(shape)</td><td>\(format)</td>\(numbers.joined())</tr>
            """
    }

    /// A number as scripts read it.
    private func sortKey(_ value: Double) -> String {
        guard value.isFinite else {
            return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
        }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
    }
}
