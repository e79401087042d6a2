/// The top of the page: warnings, the numbers that sum the job up, and its facts.
struct ReportSummary {
    private let page: ReportPage

    /// The top of `page`.
    init(page: ReportPage) {
        self.page = page
    }

    /// Its sections.
    func html() -> String {
        """
        \(warnings())
        \(tiles())
        \(facts())
        """
    }

    private func warnings() -> String {
        let affected = page.layers.count { !$0.warnings.isEmpty }
        var items = page.warnings.map(HTMLText.escaped)
        if affected > 0 {
            let count = NumberText.grouped(affected)
            let subject = affected == 1 ? "1 layer has" : "\(count) layers have"
            items.append("\(subject) warnings: see the <a href=\"#layers\">table of layers</a>.")
        }
        guard !items.isEmpty else {
            return ""
        }
        let list = items.map { "<li><strong>Warning:</strong> \($0)</li>" }.joined(separator: "\n")
        return """
            <section class="warnings">
            <h2>Warnings</h2>
            <ul>
            \(list)
            </ul>
            </section>
            """
    }

    private func facts() -> String {
        guard !page.facts.isEmpty else {
            return ""
        }
        let rows = page.facts.map { fact in
            let name = HTMLText.escaped(fact.name)
            return "<tr><th scope=\"row\">\(name)</th><td>\(HTMLText.escaped(fact.value))</td></tr>"
        }
        return """
            <section>
            <h2>Job</h2>
            <table class="facts">
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody>
            </table>
            </section>
            """
    }

    private func tiles() -> String {
        guard !page.layers.isEmpty else {
            return "<section>\n<h2>Summary</h2>\n<p>No layer was quantized.</p>\n</section>"
        }
        let tiles = [countTile, bitsTile, sizeTile, worstTile, medianTile, errorTile]
        return """
            <section>
            <h2>Summary</h2>
            <dl class="tiles">
            \(tiles.joined(separator: "\n"))
            </dl>
            </section>
            """
    }

    private func tile(_ name: String, _ value: String, _ unit: String, _ note: String) -> String {
        let unit = unit.isEmpty ? "" : " <span class=\"unit\">\(unit)</span>"
        return """
            <div><dt>\(name)</dt><dd class="figure">\(value)\(unit)</dd>\
            <dd class="quiet">\(HTMLText.breakable(note))</dd></div>
            """
    }

    private var countTile: String {
        let formats = Set(page.layers.map(\.format)).sorted()
        let note = formats.count <= 3 ? formats.joined(separator: ", ") : "\(formats.count) formats"
        return tile("Layers", NumberText.grouped(page.layers.count), "", note)
    }

    private var bitsTile: String {
        let elements = page.layers.reduce(0) { $0 + $1.elementCount }
        // What is stored, scales of tensors included, as results have it.
        let bits = page.layers.reduce(0) { $0 + 8 * Double($1.byteCount) }
        let mean = elements > 0 ? bits / elements : .nan
        return tile("Mean bits per weight", NumberText.fixed(mean, 2), "", "weighted by size")
    }

    private var sizeTile: String {
        let bytes = page.layers.reduce(0) { $0 + Double($1.byteCount) }
        let elements = page.layers.reduce(0) { $0 + $1.elementCount }
        let parts = NumberText.bytes(bytes).split(separator: " ").map(String.init)
        let ratio = bytes > 0 && elements > 0 ? 2 * elements / bytes : .nan
        let note = ratio.isFinite ? "\(NumberText.significant(ratio))× smaller than BF16" : ""
        return tile("Quantized weights", parts[0], parts[1], note)
    }

    private var worstTile: String {
        let known = page.layers.filter { !$0.sqnrDecibels.isNaN }
        let worst = known.min { $0.sqnrDecibels < $1.sqnrDecibels }
        return ratioTile("Worst SQNR", worst?.sqnrDecibels ?? .nan, worst?.module ?? "")
    }

    private var medianTile: String {
        let values = page.layers.map(\.sqnrDecibels).filter { !$0.isNaN }.sorted()
        let exact = values.count { $0 == .infinity }
        let note = exact > 0 ? "\(NumberText.grouped(exact)) exact" : "over all layers"
        return ratioTile("Median SQNR", values.isEmpty ? .nan : values[values.count / 2], note)
    }

    private var errorTile: String {
        let known = page.layers.filter(\.meanAbsoluteError.isFinite)
        let worst = known.max { $0.meanAbsoluteError < $1.meanAbsoluteError }
        let value = NumberText.significant(worst?.meanAbsoluteError ?? .nan)
        return tile("Worst mean absolute error", value, "", worst?.module ?? "")
    }

    private func ratioTile(_ name: String, _ value: Double, _ note: String) -> String {
        tile(name, NumberText.decibels(value), value.isFinite ? "dB" : "", note)
    }
}
