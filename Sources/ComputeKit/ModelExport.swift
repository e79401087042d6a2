internal import Foundation
public import ModelFiles

/// Writes a job's model and report to its output folder.
public struct ModelExport: Sendable {
    /// What came of the formats that were asked for.
    public struct Outcome: Sendable {
        /// The format that `model/` has; `f32` if none of those asked for holds the model.
        public var format: String
        /// Bytes of the written tensors.
        public var tensorByteCount: Int
        /// What was asked for and not done, and what was done instead.
        public var warnings: [String]
    }

    private let outputFolder: String

    /// An export into `outputFolder`.
    public init(outputFolder: String) {
        self.outputFolder = outputFolder
    }

    /// Writes the model in each of `formats`: the first that holds it to `model/`, another one to
    /// `model-<format>/`.
    ///
    /// If none holds it, the quantized values themselves are written in FP32, exactly.
    public func write(_ quantized: QuantizedModel, formats: [String]) throws -> Outcome {
        var outcome = Outcome(format: "", tensorByteCount: 0, warnings: [])
        var written: Set<String> = []
        for name in formats.isEmpty ? ["compressed-tensors"] : formats
        where written.insert(name).inserted {
            let folder = outcome.format.isEmpty ? "model" : "model-\(name)"
            let byteCount: Int
            if name == "gguf" {
                byteCount = try GGUFWriter(quantized).write(to: "\(outputFolder)/\(folder)")
            } else if let format = HuggingFaceWriter.Format(rawValue: name) {
                let writer = HuggingFaceWriter(quantized, format: format)
                if let obstacle = writer.obstacle {
                    outcome.warnings.append("export \(name) was left out: \(obstacle)")
                    continue
                }
                byteCount = try writer.write(to: "\(outputFolder)/\(folder)").tensorByteCount
            } else {
                outcome.warnings.append("export \(name) was left out: not in this version")
                continue
            }
            if outcome.format.isEmpty {
                (outcome.format, outcome.tensorByteCount) = (name, byteCount)
            }
        }
        if outcome.format.isEmpty {
            outcome.warnings.append("model/ holds the quantized values in FP32 instead, exactly")
            outcome.format = "f32"
            outcome.tensorByteCount = try HuggingFaceWriter(quantized, format: .f32)
                .write(to: outputFolder + "/model").tensorByteCount
        }
        return outcome
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
