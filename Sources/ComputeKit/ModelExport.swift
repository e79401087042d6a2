internal import Formats
internal import Foundation
public import ModelFiles
public import Quantization
public import Transformer

/// Writes a job's model, in one or several forms at once, and its reports to its output folder.
///
/// Not for concurrent use.
public final class ModelExport {
    /// What came of the formats that were asked for.
    public struct Outcome: Sendable {
        /// The format that `model/` has.
        public var format: String
        /// Bytes of the tensors in `model/`.
        public var tensorByteCount: Int
        /// What was asked for and not done, and what was done instead.
        public var warnings: [String]
    }

    /// The folder of the first format.
    public let folder: String
    private let writers: [(name: String, writer: any ModelWriter)]
    private var warnings: [String]

    /// Begins the model in each of `formats`: the first that holds it in `model/`, another one in
    /// `model-<format>/`.
    ///
    /// If none holds it, the quantized values themselves are written: in BF16 where that is exact
    /// for all of them, else in FP32.
    ///
    /// - Throws: `ModelFileError`.
    public init(
        _ description: ExportDescription,
        formats: [String],
        outputFolder: String
    ) throws {
        var writers: [(name: String, writer: any ModelWriter)] = []
        var warnings: [String] = []
        var written: Set<String> = []
        func folder(_ name: String) -> String {
            outputFolder + (writers.isEmpty ? "/model" : "/model-\(name)")
        }
        for name in formats.isEmpty ? ["compressed-tensors"] : formats
        where written.insert(name).inserted {
            if name == "gguf" {
                writers.append((name, try GGUFWriter(description, folder: folder(name))))
            } else if let format = HuggingFaceWriter.Format(rawValue: name) {
                if let obstacle = format.obstacle(to: description) {
                    warnings.append("export \(name) was left out: \(obstacle)")
                    continue
                }
                let writer = try HuggingFaceWriter(
                    description,
                    format: format,
                    folder: folder(name)
                )
                writers.append((name, writer))
            } else {
                warnings.append("export \(name) was left out: not in this version")
            }
        }
        if writers.isEmpty {
            let format = Self.exactFormat(description)
            warnings.append(
                "model/ holds the quantized values in \(format.rawValue) instead, exactly"
            )
            let writer = try HuggingFaceWriter(description, format: format, folder: folder(""))
            writers.append((format.rawValue, writer))
        }
        self.folder = outputFolder + "/model"
        self.writers = writers
        self.warnings = warnings
    }

    /// A plain format that holds every quantized value: BF16 has the exponents of FP32 and seven
    /// mantissa bits, enough for elements under power-of-two scales.
    private static func exactFormat(_ description: ExportDescription) -> HuggingFaceWriter.Format {
        description.formats.values.allSatisfy { $0.scaleKind == .e8m0 } ? .bf16 : .f32
    }

    /// Writes one parameter; each of the layout once, in its order.
    ///
    /// - Throws: `ModelFileError`.
    public func write(
        _ entry: ParameterLayout.Entry,
        values: UnsafeBufferPointer<Float>,
        packed: PackedTensor?
    ) throws {
        for (_, writer) in writers {
            try writer.write(entry, values: values, packed: packed)
        }
    }

    /// Writes some rows of a parameter that is not quantized; see `ModelWriter`.
    ///
    /// - Throws: `ModelFileError`.
    public func write(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        values: UnsafeBufferPointer<Float>
    ) throws {
        for (_, writer) in writers {
            try writer.write(entry, rows: rows, values: values)
        }
    }

    /// Writes all of a model in memory.
    ///
    /// - Throws: `ModelFileError`.
    public func write(_ parameters: Parameters, stored: [String: PackedTensor]) throws {
        for entry in parameters.layout.entries {
            try write(
                entry,
                values: UnsafeBufferPointer(parameters.elements(of: entry)),
                packed: stored[entry.name]
            )
        }
    }

    /// How the completed `model/` says that inputs, keys and values are rounded.
    ///
    /// - Throws: `ModelFileError`.
    public func activations() throws -> ActivationQuantization {
        try ModelLoader.open(path: folder).activations.complete()
    }

    /// Completes the files.
    ///
    /// - Throws: `ModelFileError`.
    public func finish() throws -> Outcome {
        let summaries = try writers.map { try $0.writer.finish() }
        for ((name, _), summary) in zip(writers, summaries) {
            warnings += summary.notes.map { "export \(name): \($0)" }
        }
        return Outcome(
            format: writers[0].name,
            tensorByteCount: summaries[0].tensorByteCount,
            warnings: warnings
        )
    }
}
