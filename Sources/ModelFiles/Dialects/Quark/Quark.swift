internal import Formats
internal import Quantization
internal import Transformer

/// AMD Quark's checkpoints: OCP MX, the only ones with FP6 that a server loads, and FP8.
///
/// vLLM demands that inputs are quantized, too; the configuration asks for the weights' own format,
/// chosen as the server runs.
/// - SeeAlso: vLLM, `quantization/quark/quark.py`, `schemes/quark_ocp_mx.py`.
struct Quark: CheckpointDialect {
    /// A line of the table; its scheme bears the name of `dtype`.
    struct Row {
        let scheme: StorageScheme
        let format: QuantizationFormat
        let granularity: String
        /// Nil unless by group.
        let groupSize: Int?
        /// `scale_format`; nil of FP32.
        let scaleFormat: String?
        let isWritten: Bool

        var type: String { scheme.name }
    }

    /// Of static inputs alone.
    static let inputScale = SchemeTensor(
        ".input_scale",
        .f32,
        .scalar,
        .inputFactor,
        isOptional: true
    )

    private static func mx(_ type: String, _ format: QuantizationFormat) -> Row {
        Row(
            scheme: .blocks(type, format, codes: ".weight"),
            format: format,
            granularity: "per_group",
            groupSize: 32,
            scaleFormat: "e8m0",
            isWritten: true
        )
    }

    private static func fp8(
        _ granularity: String,
        _ format: QuantizationFormat,
        _ scales: SchemeTensor.Shape
    ) -> Row {
        Row(
            scheme: StorageScheme.fp8("fp8_e4m3", .packed(format), scales: scales)
                .adding([inputScale]),
            format: format,
            granularity: granularity,
            groupSize: nil,
            scaleFormat: nil,
            isWritten: false
        )
    }

    static let rows = [
        mx("fp4", .mxfp4), mx("fp6_e2m3", .mxfp6E2M3), mx("fp6_e3m2", .mxfp6E3M2),
        fp8("per_tensor", .fp8PerTensor, .scalar), fp8("per_channel", .fp8PerChannel, .rows),
    ]

    var name: String { "quark" }

    var schemes: [StorageScheme] { Self.rows.map(\.scheme) }

    let cacheScales: CacheScaleNames? = CacheScaleNames(
        key: "k_proj.output_scale",
        value: "v_proj.output_scale",
        shape: []
    )

    /// The modules that the scales of the cache belong to, as Quark's templates name them.
    static let cacheGroup = ["*k_proj", "*v_proj"]

    func obstacle(
        to format: QuantizationFormat,
        module: StoredModule,
        in contents: ExportContents
    ) -> String? {
        Self.row(of: format) == nil ? writtenNames : nil
    }

    var writtenFormats: [QuantizationFormat] { Self.rows.filter(\.isWritten).map(\.format) }

    func scheme(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> StorageScheme? {
        Self.row(of: format)?.scheme
    }

    func staticInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat? { nil }

    /// Quark's schemes have inputs as they have weights.
    func writtenInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat? { Self.row(of: format).map { _ in format } }

    static func row(of format: QuantizationFormat) -> Row? {
        rows.first { $0.isWritten && format.isStored(as: $0.format) }
    }
}
