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
            course: TrainingCourse(
                history,
                formats: results.formats?.map(\.format),
                baseline: results.baselinePerplexity,
                ptq: results.ptqPerplexity
            ).course
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
}
