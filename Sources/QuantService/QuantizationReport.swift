internal import ComputeKit
internal import Formats
internal import JobSpecs
internal import Quantization
internal import Transformer

/// report.json of a quantization job, and what report.html is made from.
struct QuantizationReport: Encodable {
    let results: QuantizationResults
    let layers: [LayerReport]
    let sensitivities: [LayerSensitivity]
    /// What learning did to each layer; empty where nothing was learned.
    let learned: [LearnedLayer]

    /// The page of a job.
    func page(_ spec: QuantizeSpec, jobID: String) -> ReportPage {
        ReportPage(
            title: spec.name ?? "Quantization",
            facts: facts(spec, jobID),
            warnings: results.warnings,
            layers: layers.map(ReportPage.Layer.init),
            sensitivities: sensitivities.map { group in
                let chosen = layers.first { $0.module == group.modules.first }?.format
                return .init(
                    group: Self.name(of: group.modules),
                    candidates: group.candidates.map { candidate in
                        .init(
                            format: candidate.format.name,
                            bitsPerWeight: candidate.bitCount / Double(max(group.weightCount, 1)),
                            error: candidate.error,
                            isChosen: candidate.format.name == chosen
                        )
                    }
                )
            }
        )
    }

    private func facts(_ spec: QuantizeSpec, _ jobID: String) -> [(name: String, value: String)] {
        var formats: [String: Int] = [:]
        for layer in layers { formats[layer.format, default: 0] += 1 }
        let counted = formats.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.key) (\($0.value))" }
        var facts = [
            (name: "Job", value: jobID), (name: "Model", value: spec.model),
            (name: "Method", value: spec.quantization.postTraining?.words ?? results.method),
            (name: "Formats", value: counted.joined(separator: ", ")),
            (name: "Inputs", value: results.activations),
            (name: "Keys and values", value: results.kvCache),
            (name: "Calibration", value: "\(results.calibrationTokens) tokens"),
            (name: "Exports", value: results.exports.joined(separator: ", ")),
            (name: "Tensors of model/", value: "\(results.tensorBytes) bytes"),
            (name: "Of BF16", value: "\((results.memoryRatio * 1000).rounded() / 10) %"),
        ]
        if let mode = results.scaleMode { facts.append((name: "Scale mode", value: mode)) }
        if let before = results.layerErrorNearest, let after = results.layerError {
            func percent(_ error: Double) -> String { "\((error * 1e4).rounded() / 100) %" }
            facts.append(
                (
                    name: "Error of layers' outputs",
                    value: "\(percent(before)) to nearest, \(percent(after)) learned"
                )
            )
        }
        if let divergence = results.klDivergence, let tokens = results.klTokens {
            let nats = (divergence * 1e5).rounded() / 1e5
            facts.append(
                (name: "KL from the original", value: "\(nats) nats per token, \(tokens) tokens")
            )
        }
        return facts
    }

    /// `model.layers.3.self_attn.{q,k,v}_proj` as one name.
    private static func name(of modules: [String]) -> String {
        guard let first = modules.first, modules.count > 1 else { return modules.first ?? "" }
        let parent = first.split(separator: ".").dropLast().joined(separator: ".")
        let names = modules.map { $0.split(separator: ".").last.map(String.init) ?? $0 }
        return "\(parent).\(names.joined(separator: "+"))"
    }
}
