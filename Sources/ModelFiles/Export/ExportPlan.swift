public import Formats
public import Transformer

/// What an export of a model would be, known before any weight is read.
///
/// It goes by the same tables as the writers: the bytes are those that they write, and an obstacle is
/// what they refuse.
public struct ExportPlan: Sendable, Equatable {
    /// Something about a module, or about all.
    public struct Remark: Sendable, Equatable, CustomStringConvertible {
        /// The module's name in the files; nil of the whole model.
        public let module: String?
        /// What is the matter, as what follows the name.
        public let reason: String

        /// A remark.
        public init(module: String?, reason: String) {
            self.module = module
            self.reason = reason
        }

        /// One sentence.
        public var description: String { (module.map { $0 + " " } ?? "") + reason }
    }

    /// The formats there are, as job files name them.
    public static let formatNames = HuggingFaceWriter.Format.allCases.map(\.rawValue) + ["gguf"]

    /// The format's name, as job files have it.
    public let format: String
    /// Bytes of all tensors in the files; nil if there are obstacles.
    ///
    /// Of `mxint8` in GGUF it supposes that scales are between 2⁻¹⁸ and 2²¹, where Q8_0 has its own;
    /// a tensor with others takes two bytes a weight.
    public let tensorByteCount: Int?
    /// Why the writer refuses; empty if it does not.
    public let obstacles: [Remark]
    /// What is asked for and would be held in another form, or left out.
    public let substitutions: [Remark]

    /// Plans an export.
    ///
    /// - Parameters:
    ///   - format: The name of the export's format.
    ///   - configuration: The model's shape.
    ///   - formats: The formats of the quantized weights, by module name.
    ///   - activations: The format in which servers shall quantize inputs; nil for none.
    ///   - isCalibrated: Whether the ranges of all inputs will be known.
    ///   - hasCacheScales: Whether FP8 scales of the key-value cache are wanted.
    ///   - tokenizer: The tokenizer, which GGUF must have a form for; nil if that is not known.
    public init(
        format: String,
        configuration: ModelConfiguration,
        formats: [String: QuantizationFormat],
        activations: QuantizationFormat? = nil,
        isCalibrated: Bool = false,
        hasCacheScales: Bool = false,
        tokenizer: Tokenizer? = nil
    ) {
        // Any range will do: none of the sizes depends on it.
        let ranges = hasCacheScales ? [Float](repeating: 1, count: configuration.layerCount) : []
        let contents = ExportContents(
            modules: StoredModule.modules(of: ParameterLayout(configuration: configuration)),
            formats: formats,
            activations: activations,
            inputAmax: isCalibrated ? formats.mapValues { _ in 1 } : [:],
            keyAmax: ranges,
            valueAmax: ranges
        )
        self.format = format
        if format == "gguf" {
            obstacles =
                Self.unknown(contents) + GGUFWriter.obstacles(to: contents, configuration)
                + (tokenizer.map(GGUFWriter.obstacles) ?? [])
            substitutions = GGUFWriter.substitutions(contents) + Self.inputs(contents, nil, format)
            tensorByteCount =
                obstacles.isEmpty
                ? try? GGUFWriter.tensorByteCount(contents, configuration) : nil
        } else if let layout = HuggingFaceWriter.Format(rawValue: format) {
            obstacles =
                Self.unknown(contents) + (layout.dialect?.obstacles(to: contents) ?? [])
            substitutions =
                (layout.dialect == nil ? Self.substitutions(layout, contents) : [])
                + Self.inputs(contents, layout.dialect, format)
            tensorByteCount =
                obstacles.isEmpty
                ? ShardPlan(contents, format: layout, shardByteCount: .max).tensorByteCount : nil
        } else {
            let names = Self.formatNames.joined(separator: ", ")
            obstacles = [Remark(module: nil, reason: "\(format) is none of \(names)")]
            substitutions = []
            tensorByteCount = nil
        }
    }

    /// Where servers will round inputs otherwise than the job asks for.
    private static func inputs(
        _ contents: ExportContents,
        _ dialect: (any CheckpointDialect)?,
        _ layout: String
    ) -> [Remark] {
        guard let wanted = contents.activations else { return [] }
        let written = contents.quantizedModules.map { _, format in
            dialect?.writtenInputs(of: format, in: contents)
        }
        let others = written.filter { $0.map { !wanted.isStored(as: $0) } ?? true }
        let names = Set(others.map { $0?.name ?? "not at all" }).sorted().joined(separator: ", ")
        guard !others.isEmpty else { return [] }
        return [
            Remark(
                module: nil,
                reason: """
                    \(layout) has the inputs of \(others.count) modules rounded otherwise than \
                    \(wanted.name): \(names)
                    """
            )
        ]
    }

    /// Formats of modules that the model does not have.
    private static func unknown(_ contents: ExportContents) -> [Remark] {
        let known = Set(contents.modules.flatMap { $0.parts.map(\.module) })
        return contents.formats.keys.filter { !known.contains($0) }.sorted().map {
            Remark(module: $0, reason: "is no module of the model")
        }
    }

    private static func substitutions(
        _ layout: HuggingFaceWriter.Format,
        _ contents: ExportContents
    ) -> [Remark] {
        var remarks: [Remark] = contents.quantizedModules.map { module, format in
            // BF16 has the exponents of FP32, but fewer bits than an element under an FP32 scale.
            let isExact = layout == .f32 || format.scaleKind == .e8m0
            let how = isExact ? "exactly" : "rounded once more"
            return Remark(
                module: module.name,
                reason: "is \(format.name); \(layout.rawValue) holds its values, \(how)"
            )
        }
        if !contents.keyAmax.isEmpty {
            remarks.append(
                Remark(
                    module: nil,
                    reason: "\(layout.rawValue) has no scales of the key-value cache"
                )
            )
        }
        return remarks
    }
}
