/// The page's figures: which there are, their headings and what to say about them.
struct ReportPlots {
    private let layers: [ReportPage.Layer]
    private let sensitivities: [ReportPage.Sensitivity]

    /// The figures of `page`.
    init(page: ReportPage) {
        layers = page.layers
        sensitivities = page.sensitivities
    }

    /// The section of all figures that have something to show.
    func html() -> String {
        var figures: [String] = []
        if !layers.isEmpty {
            figures = [ratio(), error()]
            if layers.contains(where: { $0.saturatedShare > 0 }) {
                figures.append(saturation())
            }
            figures += [bits(), histogram()]
        }
        if !sensitivities.isEmpty {
            figures.append(sensitivity())
        }
        guard !figures.isEmpty else {
            return ""
        }
        return "<section>\n<h2>Plots</h2>\n\(figures.joined(separator: "\n"))\n</section>"
    }

    /// A figure of the page: its heading, what to say about it, and its content, all markup.
    static func figure(_ heading: String, _ note: String, _ content: String) -> String {
        """
        <figure>
        <figcaption><h3>\(heading)</h3><p class="note">\(note)</p></figcaption>
        \(content)
        </figure>
        """
    }

    private func ratio() -> String {
        let values = layers.map(\.sqnrDecibels)
        let worst = layers.filter { !$0.sqnrDecibels.isNaN }
            .min { $0.sqnrDecibels < $1.sqnrDecibels }
        let measure = LayerPlot.Measure(
            title: "SQNR, dB",
            value: \.sqnrDecibels,
            text: { $0 == .infinity ? "exact" : "\(NumberText.decibels($0, 2)) dB" },
            scale: PlotScale(.linear, over: values),
            infinity: values.contains(.infinity) ? "exact" : nil
        )
        return Self.figure(
            "Signal to quantization noise by layer",
            "Higher is better. " + named("Lowest", worst) { measure.text($0.sqnrDecibels) },
            LayerPlot(layers: layers, measure: measure).html()
        )
    }

    private func error() -> String {
        let values = layers.map(\.meanSquaredError)
        let worst = layers.filter(\.meanSquaredError.isFinite)
            .max { $0.meanSquaredError < $1.meanSquaredError }
        let measure = LayerPlot.Measure(
            title: "Mean squared error, logarithmic",
            value: \.meanSquaredError,
            text: NumberText.significant,
            scale: PlotScale(.logarithmic, over: values),
            zero: values.contains(0) ? "0" : nil
        )
        return Self.figure(
            "Mean squared error by layer",
            "Lower is better. " + named("Highest", worst) { measure.text($0.meanSquaredError) },
            LayerPlot(layers: layers, measure: measure).html()
        )
    }

    private func saturation() -> String {
        let values = layers.map(\.saturatedShare)
        let worst = layers.filter(\.saturatedShare.isFinite)
            .max { $0.saturatedShare < $1.saturatedShare }
        let measure = LayerPlot.Measure(
            title: "Saturated weights, %",
            value: \.saturatedShare,
            text: NumberText.percent,
            scale: PlotScale(
                .linear,
                over: values + [0],
                unit: 100
            )
        )
        return Self.figure(
            "Saturated share by layer",
            "Weights beyond the range of their format. "
                + named("Highest", worst) { measure.text($0.saturatedShare) },
            LayerPlot(layers: layers, measure: measure).html()
        )
    }

    private func bits() -> String {
        Self.figure(
            "Bits per weight by module and layer",
            "Stored bits, scales included.",
            FormatMap(layers: layers).html()
        )
    }

    private func histogram() -> String {
        let exact = layers.count { $0.sqnrDecibels == .infinity }
        let subject = exact == 1 ? "1 exact one is" : "\(NumberText.grouped(exact)) exact ones are"
        let note = exact > 0 ? " \(subject) not shown." : ""
        return Self.figure(
            "Distribution of SQNR",
            "Layers by signal to quantization noise.\(note)",
            HistogramPlot(layers: layers).html()
        )
    }

    private func sensitivity() -> String {
        let limit = SensitivityPlot.maximumRowCount
        let note =
            sensitivities.count > limit
            ? " Shown are the \(limit) of \(NumberText.grouped(sensitivities.count)) groups whose"
                + " chosen format has the largest error; the table has all."
            : ""
        return Self.figure(
            "Sensitivity to the format",
            "The error that each candidate format would cause, by group of modules.\(note)",
            SensitivityPlot(sensitivities).html() + "\n" + SensitivityTable(sensitivities).html()
        )
    }

    private func named(
        _ word: String,
        _ layer: ReportPage.Layer?,
        _ text: (ReportPage.Layer) -> String
    ) -> String {
        guard let layer else {
            return ""
        }
        let module = HTMLText.breakable(layer.module)
        let value = HTMLText.escaped(text(layer))
        return "\(word): \(value) in <span class=\"module\">\(module)</span>."
    }
}
