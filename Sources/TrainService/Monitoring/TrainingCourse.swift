internal import ComputeKit

/// How a training went, as its page shows it: what was measured on the way, each of several formats by itself.
struct TrainingCourse {
    private typealias Curve = ReportPage.Course.Curve

    /// Lines that a figure has room for.
    private static let lineLimit = 4

    private let history: RunHistory
    /// Nil of a training for one.
    private let formats: [String?]
    /// Perplexities of the model as it came, and rounded without training.
    private let levels: [(name: String, value: Double)]

    /// `formats`: Those that the training was for; nil of one for one.
    init(_ history: RunHistory, formats: [String]?, baseline: Double?, ptq: Double?) {
        self.history = history
        self.formats = formats ?? [nil]
        levels = [("before", baseline), ("PTQ", ptq)].compactMap { name, value in
            value.map { (name: name, value: $0) }
        }
    }

    /// Curves and maps.
    var course: ReportPage.Course {
        .init(
            curves: losses + validations + gradientNorms + paces,
            samples: history.rows.compactMap { row in
                row.layers.map { layers in
                    .init(
                        step: row.step,
                        format: row.format,
                        sqnrDecibels: layers.mapValues { $0[.sqnrDecibels] ?? .infinity }
                    )
                }
            }
        )
    }

    private var losses: [Curve] {
        formats.map { format in
            Curve(
                title: "Loss" + (format.map { " in \($0)" } ?? ""),
                note: "As it is minimized, at the logged steps.",
                lines: [
                    line("loss", [.loss], format), line("divergence", [.divergence], format),
                    line("cross-entropy", [.crossEntropy], format),
                    line("hidden states", [.hiddenError], format),
                ].filter { !$0.points.isEmpty }
            )
        }
    }

    private var validations: [Curve] {
        byFormat(
            "Validation perplexity",
            "The last point is of the export, read back.",
            [.validationPerplexity, .qatPerplexity],
            unnamed: "in training",
            levels: levels
        )
    }

    private var gradientNorms: [Curve] {
        byFormat(
            "Gradient norm",
            "Before clipping.",
            [.gradientNorm],
            unnamed: "norm",
            isLogarithmic: true
        )
    }

    private var paces: [Curve] {
        [
            Curve(
                title: "Learning rate",
                note: "",
                lines: [line("rate", [.learningRate], nil)]
            ),
            Curve(
                title: "Tokens per second",
                note: "A moving average.",
                lines: [line("tokens/s", [.tokensPerSecond], nil)]
            ),
            Curve(
                title: "Model FLOPs utilization",
                note: "Relative to the rate of this machine's products alone.",
                lines: [line("share", [.modelFLOPsUtilization], nil)]
            ),
        ]
    }

    /// A figure with a line for each format; several figures where there are more formats than lines.
    private func byFormat(
        _ title: String,
        _ note: String,
        _ figures: [RunFigure],
        unnamed: String,
        isLogarithmic: Bool = false,
        levels: [(name: String, value: Double)] = []
    ) -> [Curve] {
        stride(from: 0, to: formats.count, by: Self.lineLimit).map { first in
            let some = formats[first..<min(first + Self.lineLimit, formats.count)]
            let names = some.compactMap(\.self).joined(separator: ", ")
            return Curve(
                title: title + (formats.count > Self.lineLimit ? " in \(names)" : ""),
                note: note,
                isLogarithmic: isLogarithmic,
                lines: some.map { line($0 ?? unnamed, figures, $0) },
                levels: levels
            )
        }
    }

    /// Figures one after the other; those that formats have, of `format`.
    private func line(_ name: String, _ figures: [RunFigure], _ format: String?) -> Curve.Line {
        let points = figures.flatMap { figure in
            history.rows.compactMap { row -> (step: Int, value: Double)? in
                guard !figure.isByFormat || row.format == format else { return nil }
                return row.values[figure].map { (step: row.step, value: $0) }
            }
        }
        return Curve.Line(name: name, points: points)
    }
}
