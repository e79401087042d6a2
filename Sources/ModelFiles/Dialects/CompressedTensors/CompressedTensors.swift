internal import Foundation
internal import Formats
internal import Quantization
internal import Transformer

/// compressed-tensors, which vLLM, TensorRT-LLM and Transformers read.
///
/// - SeeAlso: vllm-project/compressed-tensors, `compressors/nvfp4`, `mxfp4`, `mxfp8`,
///   `quantization/quant_scheme.py` and `quant_args.py`.
struct CompressedTensors: CheckpointDialect {
    /// A line of the table: a scheme, and the arguments by which a config group names it.
    struct Row {
        let scheme: StorageScheme
        /// The format that is written so; nil of what is only read.
        let format: QuantizationFormat?
        /// Bits of an element: `num_bits`.
        let bits: Int
        let strategy: Arguments.Strategy
        let groupSize: Int?
        /// `scale_dtype`.
        let scaleType: String?
        /// The scale of static inputs; nil if inputs have none that is stored.
        let inputs: SchemeTensor?
        /// Other names of the same storage.
        var synonyms: [String] = []

        /// Whether arguments of inputs are those of this line's format.
        func isOfInputs(_ arguments: Arguments) -> Bool {
            let strategies: [Arguments.Strategy] =
                switch strategy {
                // What a channel is to weights, a token is to inputs.
                case .channel: [.token]
                case .tensorGroup: [.tensorGroup, .group]
                case .tensor, .group, .block, .token, .head: [strategy]
                }
            let isMX = arguments.scaleType == CompressedTensors.microscalingType
            return arguments.element == .float && arguments.bits == bits
                && strategies.contains(arguments.strategy) && arguments.groupSize == groupSize
                && (groupSize == nil || isMX == (scaleType == CompressedTensors.microscalingType))
        }

        /// The scheme with or without the scale of static inputs.
        func scheme(hasInputs: Bool) -> StorageScheme {
            hasInputs ? scheme.adding(inputs.map { [$0] } ?? []) : scheme
        }
    }

    /// FP8 of weights alone is `naive-quantized` to the package, which stores it alike.
    private static let naive = "naive-quantized"
    private static let fp8Inputs = SchemeTensor(".input_scale", .f32, .one, .inputFactor)

    static let rows = [
        Row(
            scheme: .blocks("mxfp4-pack-quantized", .mxfp4, codes: ".weight_packed"),
            format: .mxfp4,
            bits: 4,
            strategy: .group,
            groupSize: 32,
            scaleType: microscalingType,
            inputs: nil
        ),
        Row(
            // Readers divide by the global scales: they are reciprocals.
            scheme: .blocks("nvfp4-pack-quantized", .nvfp4, codes: ".weight_packed").adding([
                SchemeTensor(".weight_global_scale", .f32, .one, .twoLevelDivisor)
            ]),
            format: .nvfp4,
            bits: 4,
            strategy: .tensorGroup,
            groupSize: 16,
            scaleType: "torch.float8_e4m3fn",
            inputs: SchemeTensor(".input_global_scale", .f32, .one, .twoLevelInputDivisor)
        ),
        Row(
            scheme: .blocks("mxfp8-quantized", .mxfp8, codes: ".weight"),
            format: .mxfp8,
            bits: 8,
            strategy: .group,
            groupSize: 32,
            scaleType: microscalingType,
            inputs: nil
        ),
        Row(
            scheme: .fp8("float-quantized", .packed(.fp8PerTensor), scales: .one),
            format: .fp8PerTensor,
            bits: 8,
            strategy: .tensor,
            groupSize: nil,
            scaleType: nil,
            inputs: fp8Inputs,
            synonyms: [naive]
        ),
        Row(
            scheme: .fp8("float-quantized", .packed(.fp8PerChannel), scales: .column),
            format: .fp8PerChannel,
            bits: 8,
            strategy: .channel,
            groupSize: nil,
            scaleType: nil,
            inputs: fp8Inputs,
            synonyms: [naive]
        ),
    ]

    /// The line of E4M3 under a float scale per tile, of any size: read, not written.
    static func tiles(rows: Int, columns: Int) -> Row {
        Row(
            scheme: .fp8(
                "float-quantized",
                .tiles(rows: rows, columns: columns),
                scales: .tiles(rows: rows, columns: columns)
            ),
            format: nil,
            bits: 8,
            strategy: .block,
            groupSize: nil,
            scaleType: nil,
            inputs: fp8Inputs,
            synonyms: [naive]
        )
    }

    var name: String { "compressed-tensors" }

    var schemes: [StorageScheme] {
        (Self.rows + [Self.tiles(rows: 128, columns: 128)]).map { $0.scheme(hasInputs: true) }
    }

    let cacheScales: CacheScaleNames? = CacheScaleNames(
        key: "k_scale",
        value: "v_scale",
        shape: [1]
    )

    func obstacle(
        to format: QuantizationFormat,
        module: StoredModule,
        in contents: ExportContents
    ) -> String? {
        Self.row(of: format) == nil ? writtenNames : nil
    }

    var writtenFormats: [QuantizationFormat] { Self.rows.compactMap(\.format) }

    func scheme(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> StorageScheme? {
        Self.row(of: format)?
            .scheme(hasInputs: staticInputs(of: format, in: contents) != nil)
    }

    func staticInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat? {
        guard let inputs = Self.inputs(of: format, in: contents),
            inputs.scaleKind.hasTensorScale
        else { return nil }
        return inputs
    }

    func writtenInputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat? { Self.inputs(of: format, in: contents) }

    /// How the inputs of modules of a format are quantized: as asked for, where the weights' scheme
    /// has such inputs.
    static func inputs(
        of format: QuantizationFormat,
        in contents: ExportContents
    ) -> QuantizationFormat? {
        guard let activations = contents.activations else { return nil }
        let isFP8 = format.element == .e4m3 && !format.scaleKind.hasBlocks
        if isFP8, activations.element == .e4m3, !activations.scaleKind.hasBlocks {
            return activations
        }
        return activations.isStored(as: format) ? activations : nil
    }

    static func row(of format: QuantizationFormat) -> Row? {
        rows.first { $0.format.map(format.isStored(as:)) ?? false }
    }
}
