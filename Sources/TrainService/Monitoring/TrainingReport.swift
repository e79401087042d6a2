internal import ComputeKit
internal import JobSpecs

/// report.json of a training job, and what report.html is made from.
struct TrainingReport: Encodable {
    let results: TrainingResults
    let layers: [LayerReport]

    /// The page of a job; `history` is what was measured on the way.
    func page(_ spec: TrainSpec, jobID: String, history: RunHistory) -> ReportPage {
        ReportPage(
            subject: .training,
            title: spec.name ?? "Training",
            facts: facts(spec, jobID),
            warnings: results.warnings,
            layers: layers.map(ReportPage.Layer.init),
            course: .init(curves: curves(history), samples: Self.samples(history))
        )
    }

    private func facts(_ spec: TrainSpec, _ jobID: String) -> [(name: String, value: String)] {
        var facts = [(name: "Job", value: jobID), (name: "Model", value: spec.model)]
        switch spec.start {
        case .method(let method): facts.append((name: "Start", value: method.rawValue))
        case .model(let reference): facts.append((name: "Start", value: reference))
        case nil: break
        }
        facts += perplexities.map { (name: $0.title, value: $0.text) }
        if let recovered = results.recovered {
            facts.append(
                (
                    name: "Won back of what PTQ loses",
                    value: "\((recovered * 1000).rounded() / 10) %"
                )
            )
        }
        let best = results.bestStep.map { ", the best validation that of step \($0)" } ?? ""
        facts += [
            (name: "Steps", value: "\(results.steps), \(results.tokens) tokens"),
            (name: "Exported", value: "the weights of step \(results.exportedStep)\(best)"),
        ]
        if let sentence = results.endedEarly { facts.append((name: "Ended", value: sentence)) }
        if let sentence = results.rolledBack { facts.append((name: "Went back", value: sentence)) }
        return facts + [
            (name: "Inputs", value: results.activations),
            (name: "Keys and values", value: results.kvCache),
            (name: "Exports", value: results.exports.joined(separator: ", ")),
            (name: "Tensors of model/", value: "\(results.tensorBytes) bytes"),
            (name: "Of BF16", value: "\((results.memoryRatio * 1000).rounded() / 10) %"),
        ]
    }

    /// Validation perplexities with their intervals, as far as they were measured.
    private var perplexities: [(title: String, text: String)] {
        let all: [(title: String, value: Double?, interval: [Double]?)] = [
            ("Perplexity before", results.baselinePerplexity, results.baselinePerplexityCi95),
            (
                "Perplexity rounded without training", results.ptqPerplexity,
                results.ptqPerplexityCi95
            ),
            ("Perplexity at the start", results.startPerplexity, results.startPerplexityCi95),
            ("Perplexity of model/", results.qatPerplexity, results.qatPerplexityCi95),
        ]
        return all.compactMap { entry in
            guard let value = entry.value else { return nil }
            func rounded(_ number: Double) -> String { "\((number * 1000).rounded() / 1000)" }
            let interval = entry.interval.flatMap { $0.count == 2 ? $0 : nil }.map {
                " [\(rounded($0[0])), \(rounded($0[1]))]"
            }
            return (entry.title, rounded(value) + (interval ?? ""))
        }
    }

    private func curves(_ history: RunHistory) -> [ReportPage.Course.Curve] {
        func line(_ name: String, _ key: String) -> ReportPage.Course.Curve.Line {
            let points = history.rows.compactMap { row in
                row.values[key].map { (step: row.step, value: $0) }
            }
            return .init(name: name, points: points)
        }
        func lines(_ pairs: [(String, String)]) -> [ReportPage.Course.Curve.Line] {
            pairs.map(line).filter { !$0.points.isEmpty }
        }
        // At most four lines: of a training for several formats those of the first ones.
        let formats: [String?] = results.formats.map { $0.prefix(4).map(\.format) } ?? [nil]
        let validation = formats.map { format in
            let name = format ?? "in training"
            let keys = ["validation_perplexity", "qat_perplexity"].map {
                TrainingResults.Earlier.key($0, in: format)
            }
            return ReportPage.Course.Curve.Line(
                name: name,
                points: keys.flatMap { line(name, $0).points }
            )
        }
        let levels = [("before", results.baselinePerplexity), ("PTQ", results.ptqPerplexity)]
        return [
            .init(
                title: "Loss",
                note: "As it is minimized, at the logged steps.",
                lines: lines([
                    ("loss", "loss"), ("divergence", "divergence"),
                    ("cross-entropy", "cross_entropy"),
                    ("hidden states", "hidden_error"),
                ])
            ),
            .init(
                title: "Validation perplexity",
                note: "The last point is of the export, read back.",
                lines: validation,
                levels: levels.compactMap { name, value in value.map { (name: name, value: $0) } }
            ),
            .init(
                title: "Gradient norm",
                note: "Before clipping.",
                isLogarithmic: true,
                lines: lines([("norm", "gradient_norm")])
            ),
            .init(title: "Learning rate", note: "", lines: lines([("rate", "learning_rate")])),
            .init(
                title: "Tokens per second",
                note: "A moving average.",
                lines: lines([("tokens/s", "tokens_per_second")])
            ),
            .init(
                title: "Model FLOPs utilization",
                note: "Relative to the rate of this machine's products alone.",
                lines: lines([("share", "model_flops_utilization")])
            ),
        ]
    }

    private static func samples(_ history: RunHistory) -> [ReportPage.Course.Sample] {
        history.rows.compactMap { row in
            row.layers.map { layers in
                .init(
                    step: row.step,
                    sqnrDecibels: layers.mapValues { $0.sqnrDecibels ?? .infinity }
                )
            }
        }
    }
}
