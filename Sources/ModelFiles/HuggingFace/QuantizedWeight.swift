internal import Formats
internal import Kernels
internal import Quantization
internal import Transformer

/// The tensors of a quantized module, which agree with the configuration.
struct QuantizedWeight {
    let scheme: StorageScheme
    private let module: StoredModule
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
        _ module: StoredModule,
        scheme: StorageScheme,
        tensors: CheckpointTensors
    ) throws(ModelFileError) {
        self.module = module
        self.scheme = scheme
        let reason = "the configuration has \(module.name) as \(scheme.name)"
        try Self.checkBlocks(module, scheme, reason, folder: tensors.folder)
        // Factors of columns mean something to some dialects only.
        let others = scheme.tensor(.columnFactors) == nil ? [".pre_quant_scale"] : []
        for suffix in Self.refusedSuffixes + others {
            guard let found = tensors[module.name + suffix],
                !TensorClaims.isNeutral(found.tensor)
            else { continue }
            throw ModelFileError(
                .unsupported,
                "\(tensors.folder): tensor \(module.name)\(suffix) is not read in this version"
            )
        }
        func located(
            _ roles: SchemeTensor.Role...
        ) throws(ModelFileError) -> CheckpointTensors.Located? {
            guard let tensor = roles.lazy.compactMap({ scheme.tensor($0) }).first else {
                return nil
            }
            let name = module.name + tensor.suffix
            if tensor.isOptional, tensors[name] == nil { return nil }
            return try tensors.required(
                name,
                types: tensor.acceptedTypes,
                shapes: tensor.shape.accepted(rows: module.rows, columns: module.columns),
                reason: reason
            )
        }
        guard let codes = try located(.elements), let scales = try located(.blockScales, .factors)
        else { preconditionFailure("\(scheme.name) has neither elements nor scales") }
        self.codes = codes
        self.scales = scales
        tensorScale = try located(.twoLevelFactor, .twoLevelDivisor)
        columnFactors = try located(.columnFactors)
    }

    /// Whether columns are multiplied beyond what codes and scales say.
    var hasColumnFactors: Bool { columnFactors != nil }

    /// What is stored of some of the module's rows, as a packed tensor; nil of tiles, for which there is none.
    ///
    /// AWQ's factors are not in it.
    func packed(rows: Range<Int>) throws -> PackedTensor? {
        guard let format = scheme.format else { return nil }
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
            columns: module.columns,
            codes: slice(codes, rows),
            scales: format.scaleKind.hasBlocks ? slice(scales, rows) : [],
            floatScales: floatScales
        )
    }

    private func slice(_ located: CheckpointTensors.Located, _ rows: Range<Int>) -> [UInt8] {
        let bytes = located.tensor.bytes
        let rowBytes = bytes.count / module.rows
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
            Self.multiply(output, columns: module.columns, team: team) { _, column in
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
        guard case .tiles(let height, let width) = scheme.elements else { return }
        let factors = try scales.finiteFloats()
        let codes = try PackedTensor(
            format: .fp8PerTensor,
            rows: rows.count,
            columns: module.columns,
            codes: slice(codes, rows),
            scales: [],
            floatScales: [1]
        )
        try BlockQuantizer.dequantize(codes, into: output, team: team)
        let stride = SchemeTensor.Shape.quotient(module.columns, width)
        Self.multiply(output, columns: module.columns, team: team) { row, column in
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

    /// NVFP4's scale of the tensor, which some dialects store as its reciprocal.
    private func globalScale() throws -> Float {
        guard let tensorScale, let value = try tensorScale.finiteFloats().first else { return 1 }
        guard scheme.twoLevelTensor?.role.isReciprocal == true else { return value }
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
        _ module: StoredModule,
        _ scheme: StorageScheme,
        _ reason: String,
        folder: String
    ) throws(ModelFileError) {
        guard module.isMatrix, module.columns.isMultiple(of: scheme.blockSize) else {
            throw ModelFileError(
                .malformed,
                "\(folder): \(reason), whose blocks do not divide its shape \(module.shape)"
            )
        }
    }
}
