internal import Formats
internal import Kernels
internal import Quantization
internal import Transformer

/// The tensors of a quantized weight, which agree with the configuration.
struct QuantizedWeight {
    let scheme: WeightScheme
    private let entry: ParameterLayout.Entry
    private let codes: CheckpointTensors.Located
    private let scales: CheckpointTensors.Located
    /// Of NVFP4, above the block scales.
    private let tensorScale: CheckpointTensors.Located?
    /// Of AWQ: factors of the weight's columns, which servers apply to the inputs.
    private let columnFactors: CheckpointTensors.Located?

    /// What changes a weight's meaning and is not read; a bias is a parameter of its own.
    private static let refusedSuffixes = [
        ".weight_zero_point", ".weight_g_idx", ".svdquant_lora_a", ".svdquant_lora_b",
    ]

    /// Finds and checks the tensors.
    ///
    /// - Throws: ``ModelFileError``, naming the tensor, what it is and what the configuration says.
    init(
        _ entry: ParameterLayout.Entry,
        scheme: WeightScheme,
        tensors: CheckpointTensors
    ) throws(ModelFileError) {
        self.entry = entry
        self.scheme = scheme
        let module = entry.module
        let reason = "the configuration has \(module) as \(scheme.name)"
        try Self.checkBlocks(entry, scheme, reason, folder: tensors.folder)
        for suffix in Self.refusedSuffixes where tensors[module + suffix] != nil {
            throw ModelFileError(
                .unsupported,
                "\(tensors.folder): tensor \(module)\(suffix) is not read in this version"
            )
        }
        codes = try tensors.required(
            module + scheme.codesSuffix,
            types: [scheme.codesType],
            shapes: [[entry.rows, entry.columns * scheme.bitWidth / 8]],
            reason: reason
        )
        scales = try tensors.required(
            module + ".weight_scale",
            types: scheme.scalesTypes,
            shapes: scheme.scalesShapes(rows: entry.rows, columns: entry.columns),
            reason: reason
        )
        if case .packed(let format) = scheme.storage, format.scaleKind == .e4m3TwoLevel {
            let isReciprocal = scheme.dialect == .compressedTensors
            tensorScale = try tensors.required(
                module + (isReciprocal ? ".weight_global_scale" : ".weight_scale_2"),
                types: WeightScheme.floats,
                shapes: [[], [1]],
                reason: reason
            )
        } else {
            tensorScale = nil
        }
        let factors = module + ".pre_quant_scale"
        columnFactors =
            tensors[factors] == nil
            ? nil
            : try tensors.required(
                factors,
                types: WeightScheme.floats,
                shapes: [[entry.columns]],
                reason: reason
            )
    }

    /// What is stored of some rows, as a packed tensor; nil of tiles, for which there is none.
    ///
    /// AWQ's factors are not in it.
    func packed(rows: Range<Int>) throws -> PackedTensor? {
        guard case .packed(let format) = scheme.storage else { return nil }
        let floatScales: [Float] =
            switch format.scaleKind {
            case .e8m0: []
            case .e4m3TwoLevel: [try globalScale()]
            case .perTensor: try scales.finiteFloats()
            case .perChannel: Array(try scales.finiteFloats()[rows])
            }
        return try PackedTensor(
            format: format,
            rows: rows.count,
            columns: entry.columns,
            codes: slice(codes, rows),
            scales: format.scaleKind.hasBlocks ? slice(scales, rows) : [],
            floatScales: floatScales
        )
    }

    private func slice(_ located: CheckpointTensors.Located, _ rows: Range<Int>) -> [UInt8] {
        let bytes = located.tensor.bytes
        let rowBytes = bytes.count / entry.rows
        return [UInt8](bytes[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes])
    }

    /// Writes the dequantized values of some rows and drops the mapped pages.
    func read(
        rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        if let packed = try packed(rows: rows) {
            try BlockQuantizer.dequantize(packed, into: output, team: team)
        } else {
            try readTiles(rows, into: output, team: team)
        }
        if let factors = try columnFactors?.finiteFloats() {
            Self.multiply(output, columns: entry.columns, team: team) { _, column in
                factors[column]
            }
        }
        MappedFile.dropPages(of: codes.tensor.bytes)
        MappedFile.dropPages(of: scales.tensor.bytes)
    }

    private func readTiles(
        _ rows: Range<Int>,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        guard case .tiles(let height, let width) = scheme.storage else { return }
        let factors = try scales.finiteFloats()
        let codes = try PackedTensor(
            format: .fp8PerTensor,
            rows: rows.count,
            columns: entry.columns,
            codes: slice(codes, rows),
            scales: [],
            floatScales: [1]
        )
        try BlockQuantizer.dequantize(codes, into: output, team: team)
        let stride = WeightScheme.quotient(entry.columns, width)
        Self.multiply(output, columns: entry.columns, team: team) { row, column in
            factors[(rows.lowerBound + row) / height * stride + column / width]
        }
    }

    private static func multiply(
        _ output: UnsafeMutableBufferPointer<Float>,
        columns: Int,
        team: ThreadTeam,
        by factor: @Sendable (Int, Int) -> Float
    ) {
        guard let start = output.baseAddress else { return }
        team.parallelFor(count: output.count / columns) { rows in
            for row in rows {
                for column in 0..<columns {
                    start[row * columns + column] *= factor(row, column)
                }
            }
        }
    }

    /// NVFP4's scale of the tensor; compressed-tensors stores its reciprocal.
    private func globalScale() throws -> Float {
        guard let tensorScale, let value = try tensorScale.finiteFloats().first else { return 1 }
        guard scheme.dialect == .compressedTensors else { return value }
        let scale = 1 / value
        guard scale.isFinite else {
            throw ModelFileError(
                .malformed,
                "\(tensorScale.path): tensor \(tensorScale.tensor.name) is \(value); it divides"
            )
        }
        return scale
    }

    private static func checkBlocks(
        _ entry: ParameterLayout.Entry,
        _ scheme: WeightScheme,
        _ reason: String,
        folder: String
    ) throws(ModelFileError) {
        var isWhole = entry.shape.count == 2
        if case .packed(let format) = scheme.storage, format.scaleKind.hasBlocks {
            isWhole = isWhole && entry.columns.isMultiple(of: format.blockSize)
        }
        guard isWhole else {
            throw ModelFileError(
                .malformed,
                "\(folder): \(reason), whose blocks do not divide its shape \(entry.shape)"
            )
        }
    }
}
