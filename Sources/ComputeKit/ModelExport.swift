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

    /// Writes `model/`: the first of `formats` that this version writes for the recipe.
    ///
    /// If none is, the quantized values themselves are written in FP32, which holds them exactly.
    public func write(
        _ model: LoadedModel,
        recipe: QuantizationRecipe,
        formats: [String]
    ) throws -> Outcome {
        var warnings: [String] = []
        var chosen: HuggingFaceWriter.Format?
        var name = "compressed-tensors"
        for format in formats.isEmpty ? ["compressed-tensors"] : formats {
            switch format {
            case "compressed-tensors":
                if let obstacle = try HuggingFaceWriter.obstacle(to: recipe, for: model) {
                    warnings.append("export compressed-tensors: not in this version: \(obstacle)")
                } else if chosen == nil {
                    (chosen, name) = (.compressedTensors(recipe), format)
                }
            case "bf16":
                if chosen == nil {
                    (chosen, name) = (.bf16, format)
                }
            default:
                warnings.append(
                    "export \(format): not in this version, which writes compressed-tensors and bf16"
                )
            }
        }
        if chosen == nil {
            warnings.append("model/ holds the quantized values in FP32 instead, exactly")
            (chosen, name) = (.f32, "f32")
        }
        let format = chosen ?? .f32
        if format == .f32 || format == .bf16 {
            try model.parameters.fakeQuantize(by: recipe, team: team)
        }
        let writer = HuggingFaceWriter(model: model, format: format, team: team)
        let summary = try writer.write(to: outputFolder + "/model")
        return Outcome(
            format: name,
            tensorByteCount: summary.tensorByteCount,
            warnings: warnings
        )
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
