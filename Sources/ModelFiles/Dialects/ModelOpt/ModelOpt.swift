internal import Formats
internal import Quantization
internal import Transformer

/// NVIDIA ModelOpt's Hugging Face checkpoints, which TensorRT-LLM, vLLM and SGLang read.
///
/// - SeeAlso: NVIDIA/Model-Optimizer, `modelopt/torch/export/quant_utils.py` and
///   `convert_hf_config.py`.
struct ModelOpt: CheckpointDialect {
    /// A line of the table; its scheme bears the name of `quant_algo`.
    struct Row {
        let scheme: StorageScheme
        let format: QuantizationFormat
        /// How servers round the modules' inputs.
        let inputs: InputScheme
        /// Whether `config_groups` describe it; the converter does so for some only.
        var hasGroups = false
        /// Whether vLLM knows it.
        var isKnownToVLLM = true
        /// Whether it is written; others are only read.
        var isWritten = false

        var algorithm: String { scheme.name }
        /// Whether a file must hold the inputs' scales.
        var hasInputScale: Bool {
            scheme.tensors.contains { $0.role.isOfInputs && !$0.isOptional }
        }
    }

    static let mixed = "MIXED_PRECISION"

    private static let tensorScale = SchemeTensor(
        ".weight_scale_2",
        .f32,
        .scalar,
        .twoLevelFactor
    )
    private static let inputScale = SchemeTensor(
        ".input_scale",
        .f32,
        .scalar,
        .twoLevelInputFactor
    )
    private static let fp8InputScale = SchemeTensor(".input_scale", .f32, .scalar, .inputFactor)
    private static let optionalFP8InputScale = SchemeTensor(
        ".input_scale",
        .f32,
        .scalar,
        .inputFactor,
        isOptional: true
    )
    /// AWQ's factors, which may come with every scheme.
    private static let columnFactors = SchemeTensor(
        ".pre_quant_scale",
        .f32,
        .columns,
        .columnFactors,
        isOptional: true
    )

    private static func nvfp4(_ name: String, inputs: SchemeTensor?) -> StorageScheme {
        StorageScheme.blocks(name, .nvfp4, codes: ".weight")
            .adding([tensorScale] + (inputs.map { [$0] } ?? []) + [columnFactors])
    }

    private static func mxfp4(_ name: String, inputs: InputScheme) -> Row {
        Row(
            scheme: .blocks(name, .mxfp4, codes: ".weight")
                .adding([optionalFP8InputScale, columnFactors]),
            format: .mxfp4,
            inputs: inputs,
            isKnownToVLLM: false
        )
    }

    private static let nvfp4Inputs = stored(.nvfp4)
    private static let fp8Inputs = stored(.fp8PerTensor)
    private static let mxfp8Inputs: InputScheme = {
        var format = QuantizationFormat.mxfp8
        format.scaleMode = .rceil
        return .dynamic(format)
    }()

    private static func stored(_ format: QuantizationFormat) -> InputScheme {
        .stored(format, suffix: ".input_scale", isReciprocal: false)
    }

    static let rows = [
        Row(
            scheme: nvfp4("NVFP4", inputs: inputScale),
            format: .nvfp4,
            inputs: nvfp4Inputs,
            hasGroups: true,
            isWritten: true
        ),
        Row(
            scheme: nvfp4("W4A16_NVFP4", inputs: nil),
            format: .nvfp4,
            inputs: .plain,
            hasGroups: true,
            isWritten: true
        ),
        Row(
            scheme: StorageScheme.blocks("MXFP8", .mxfp8, codes: ".weight")
                .adding([columnFactors]),
            format: .mxfp8,
            inputs: mxfp8Inputs,
            isWritten: true
        ),
        Row(
            scheme: StorageScheme.fp8("FP8", .packed(.fp8PerTensor), scales: .scalar)
                .adding([fp8InputScale, columnFactors]),
            format: .fp8PerTensor,
            inputs: fp8Inputs,
            hasGroups: true,
            isWritten: true
        ),
        Row(
            scheme: StorageScheme.fp8(
                "FP8_PER_CHANNEL_PER_TOKEN",
                .packed(.fp8PerChannel),
                scales: .rows
            ).adding([columnFactors]),
            format: .fp8PerChannel,
            inputs: .dynamic(.fp8PerChannel),
            isWritten: true
        ),
        Row(
            scheme: nvfp4("NVFP4_AWQ", inputs: inputScale),
            format: .nvfp4,
            inputs: nvfp4Inputs,
            isKnownToVLLM: false
        ),
        Row(
            scheme: nvfp4("W4A8_NVFP4_FP8", inputs: fp8InputScale),
            format: .nvfp4,
            inputs: fp8Inputs,
            isKnownToVLLM: false
        ),
        mxfp4(
            "W4A8_MXFP4_FP8",
            inputs: .storedIfPresent(.fp8PerTensor, suffix: ".input_scale")
        ),
        mxfp4("W4A8_MXFP4_MXFP8", inputs: mxfp8Inputs), mxfp4("W4A16_MXFP4", inputs: .plain),
        // What ModelOpt writes of weights alone.
        mxfp4("mxfp4", inputs: .plain),
    ]

    var name: String { "modelopt" }

    var schemes: [StorageScheme] { Self.rows.map(\.scheme) }

    let cacheScales: CacheScaleNames? = CacheScaleNames(
        key: "k_proj.k_scale",
        value: "v_proj.v_scale",
        shape: []
    )

    func obstacle(
        to format: QuantizationFormat,
        module: StoredModule,
        in contents: ExportContents
    ) -> String? {
        guard let row = Self.row(of: format, in: contents) else {
            return writtenNames
        }
        if requiresInputRanges(format), contents.inputScale(module, format) == nil {
            return """
                \(name)'s \(row.algorithm) has input scales, too: a quantize job finds them by \
                data.calibration, a training with "activations": "\(format.name)" and \
                "activation_scales": "calibrated"
                """
        }
        return nil
    }

    var writtenFormats: [QuantizationFormat] {
        Self.rows.filter(\.isWritten).map(\.format).reduce(into: []) { formats, format in
            if !formats.contains(format) { formats.append(format) }
        }
    }

    func scheme(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> StorageScheme? {
        Self.row(of: format, in: contents)?.scheme
    }

    func staticInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat? {
        Self.row(of: format, in: contents).flatMap { $0.hasInputScale ? format : nil }
    }

    /// Servers round the inputs of all but NVFP4 whatever the files say, and its own by their scale.
    func writtenInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat? {
        guard let row = Self.row(of: format, in: contents) else { return nil }
        return row.hasInputScale || format.scaleKind != .e4m3TwoLevel ? format : nil
    }

    func requiresInputRanges(_ format: QuantizationFormat) -> Bool {
        let rows = Self.rows.filter { $0.isWritten && format.isStored(as: $0.format) }
        return !rows.isEmpty && rows.allSatisfy(\.hasInputScale)
    }

    /// The line by which a format is written: FP8 always has input scales, NVFP4 if inputs shall be
    /// quantized and their range is known.
    static func row(of format: QuantizationFormat, in contents: ExportContents) -> Row? {
        let rows = rows.filter { $0.isWritten && format.isStored(as: $0.format) }
        let hasInputs =
            contents.activations.map(format.isStored(as:)) ?? false
            && !contents.inputAmax.isEmpty
        return rows.first { $0.hasInputScale == hasInputs } ?? rows.first
    }

    /// The line of a `quant_algo`.
    static func row(named algorithm: String) -> Row? {
        rows.first { $0.algorithm == algorithm }
    }
}
