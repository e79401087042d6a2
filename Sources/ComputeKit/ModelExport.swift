internal import Foundation
public import Kernels
public import ModelFiles
public import Quantization
internal import Transformer

/// Writes a job's model and report to its output folder.
public struct ModelExport: Sendable {
    /// What came of the formats that were asked for.
    public struct Outcome: Sendable {
        /// The format that `model/` has: `compressed-tensors`, `bf16` or `f32`.
        public var format: String
        /// Bytes of the written tensors.
        public var tensorByteCount: Int
        /// What was asked for and not done, and what was done instead.
        public var warnings: [String]
    }

    private let outputFolder: String
    private let team: ThreadTeam

    /// An export into `outputFolder`.
    public init(outputFolder: String, team: ThreadTeam) {
        self.outputFolder = outputFolder
        self.team = team
    }

    /// Writes the model in each of `formats`: the first that this version writes for the recipe to
    /// `model/`, another one to `model-<format>/`.
    ///
    /// If none is, the quantized values themselves are written in FP32, which holds them exactly.
    public func write(
        _ model: LoadedModel,
        recipe: QuantizationRecipe,
        formats: [String]
    ) throws -> Outcome {
        var warnings: [String] = []
        var forms: [(name: String, format: HuggingFaceWriter.Format)] = []
        for name in formats.isEmpty ? ["compressed-tensors"] : formats
        where !forms.contains(where: { $0.name == name }) {
            switch name {
            case "compressed-tensors":
                if let obstacle = try HuggingFaceWriter.obstacle(to: recipe, for: model) {
                    warnings.append("export compressed-tensors: not in this version: \(obstacle)")
                } else {
                    forms.append((name, .compressedTensors(recipe)))
                }
            case "bf16":
                forms.append((name, .bf16))
            default:
                warnings.append(
                    "export \(name): not in this version, which writes compressed-tensors and bf16"
                )
            }
        }
        if forms.isEmpty {
            warnings.append("model/ holds the quantized values in FP32 instead, exactly")
            forms.append(("f32", .f32))
        }
        let byteCounts = try write(forms, model, recipe)
        return Outcome(
            format: forms[0].name,
            tensorByteCount: byteCounts[forms[0].name] ?? 0,
            warnings: warnings
        )
    }

    /// Writes each form and returns its bytes by name.
    ///
    /// Packing needs the unrounded weights, which the plain forms then replace in place.
    private func write(
        _ forms: [(name: String, format: HuggingFaceWriter.Format)],
        _ model: LoadedModel,
        _ recipe: QuantizationRecipe
    ) throws -> [String: Int] {
        let packed = forms.filter { $0.format.isPacked }
        let plain = forms.filter { !$0.format.isPacked }
        var byteCounts: [String: Int] = [:]
        for form in packed + plain {
            if form.name == plain.first?.name {
                try model.parameters.fakeQuantize(by: recipe, team: team)
            }
            let folder = form.name == forms[0].name ? "model" : "model-\(form.name)"
            let writer = HuggingFaceWriter(model: model, format: form.format, team: team)
            byteCounts[form.name] =
                try writer.write(to: "\(outputFolder)/\(folder)").tensorByteCount
        }
        return byteCounts
    }

    /// Writes `report.json`.
    public func writeReport(_ report: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf",
            negativeInfinity: "-inf",
            nan: "nan"
        )
        let data = try encoder.encode(report)
        try data.write(to: URL(fileURLWithPath: outputFolder + "/report.json"))
    }
}
