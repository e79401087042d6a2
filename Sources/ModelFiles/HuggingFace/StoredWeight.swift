internal import Kernels
internal import Quantization
internal import Transformer

/// How a Hugging Face folder stores one weight: the tensors it takes, found by names, types and shapes.
struct StoredWeight {
    /// Safetensors tensors by name, with the files they stand in.
    typealias Tensors = [String: (SafetensorsFile.Tensor, path: String)]

    /// What is stored.
    enum Kind {
        /// Floats.
        case plain
        /// Codes and scales of a format.
        case packed(QuantizationFormat, scales: SafetensorsFile.Tensor?, floatScales: [Float])
        /// E4M3 codes, FP32 scales `[rows / height, columns / width]` of blocks, rounded up.
        case blocks(scales: [Float], height: Int, width: Int)
    }

    let kind: Kind
    /// The codes, or the floats.
    let codes: SafetensorsFile.Tensor
    /// Factors of the columns, if any: AWQ's scales of the inputs.
    let columnFactors: [Float]?
    private let path: String

    /// The weight of an entry's module.
    ///
    /// - Throws: ``ModelFileError`` naming the tensor that is missing or does not fit.
    init(
        _ entry: ParameterLayout.Entry,
        tensors: Tensors,
        quarkFormat: QuantizationFormat?,
        folder: String
    ) throws {
        let module = entry.module
        let weight = tensors[module + ".weight_packed"] ?? tensors[entry.name]
        guard let (codes, path) = weight else {
            throw ModelFileError(.malformed, "\(folder): tensor \(entry.name) is missing")
        }
        self.codes = codes
        self.path = path
        let factors = try tensors[module + ".pre_quant_scale"].map {
            try Self.floats($0.0, path: $0.path, count: entry.columns)
        }
        columnFactors = factors
        guard let (scales, _) = tensors[module + ".weight_scale"] else {
            guard [.f32, .f16, .bf16].contains(codes.type) else {
                throw ModelFileError(
                    .unsupported,
                    """
                    \(path): tensor \(codes.name) has the type \(codes.type.rawValue) and no \
                    \(module).weight_scale beside it
                    """
                )
            }
            try Self.check(codes, shape: entry.shape, path: path)
            kind = .plain
            return
        }
        kind = try Self.kind(
            entry,
            codes: codes,
            scales: scales,
            tensors: tensors,
            quarkFormat: quarkFormat,
            path: path
        )
    }

    private static func kind(
        _ entry: ParameterLayout.Entry,
        codes: SafetensorsFile.Tensor,
        scales: SafetensorsFile.Tensor,
        tensors: Tensors,
        quarkFormat: QuantizationFormat?,
        path: String
    ) throws -> Kind {
        let (rows, columns) = (entry.rows, entry.columns)
        let blockFormat: QuantizationFormat? =
            switch (codes.type, scales.type) {
            case (.u8, .f8E4M3): .nvfp4
            case (.f8E4M3, .u8): .mxfp8
            case (.u8, .u8): quarkFormat ?? .mxfp4
            default: nil
            }
        if let format = blockFormat {
            try check(codes, shape: [rows, columns * format.element.bitWidth / 8], path: path)
            try check(scales, shape: [rows, columns / format.blockSize], path: path)
            let global =
                format.scaleKind == .e4m3TwoLevel
                ? [try globalScale(entry.module, tensors, path: path)] : []
            return .packed(format, scales: scales, floatScales: global)
        }
        guard codes.type == .f8E4M3, [.f32, .bf16, .f16].contains(scales.type) else {
            throw ModelFileError(
                .unsupported,
                """
                \(path): \(entry.module): codes of type \(codes.type.rawValue) under scales of type \
                \(scales.type.rawValue) are no format that is read
                """
            )
        }
        try check(codes, shape: [rows, columns], path: path)
        let values = try floats(scales, path: path, count: scales.count)
        switch scales.shape {
        case [], [1]: return .packed(.fp8PerTensor, scales: nil, floatScales: values)
        case [rows], [rows, 1]: return .packed(.fp8PerChannel, scales: nil, floatScales: values)
        default: break
        }
        guard scales.shape.count == 2, scales.shape.allSatisfy({ $0 > 0 }),
            scales.shape[0] <= rows, scales.shape[1] <= columns
        else {
            throw ModelFileError(
                .malformed,
                """
                \(path): tensor \(scales.name) has the shape \(scales.shape), which fits no \
                scales of [\(rows), \(columns)]
                """
            )
        }
        // Blocks are 128 by 128 wherever that gives this shape.
        func extent(_ size: Int, _ count: Int) -> Int {
            (size + 127) / 128 == count ? 128 : (size + count - 1) / count
        }
        return .blocks(
            scales: values,
            height: extent(rows, scales.shape[0]),
            width: extent(columns, scales.shape[1])
        )
    }

    /// Writes the FP32 values of some rows.
    func read(
        rows: Range<Int>,
        of entry: ParameterLayout.Entry,
        into output: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        switch kind {
        case .plain:
            try codes.copyFloats(rows: rows, columns: entry.columns, to: output, path: path)
        case .packed(let format, let scales, let floatScales):
            let packed = try PackedTensor(
                format: format,
                rows: rows.count,
                columns: entry.columns,
                codes: Self.slice(codes, rows, of: entry.rows),
                scales: scales.map { Self.slice($0, rows, of: entry.rows) } ?? [],
                floatScales: format.scaleKind == .perChannel
                    ? Array(floatScales[rows]) : floatScales
            )
            try BlockQuantizer.dequantize(packed, into: output, team: team)
        case .blocks(let scales, let height, let width):
            let codes = try PackedTensor(
                format: .fp8PerTensor,
                rows: rows.count,
                columns: entry.columns,
                codes: Self.slice(codes, rows, of: entry.rows),
                scales: [],
                floatScales: [1]
            )
            try BlockQuantizer.dequantize(codes, into: output, team: team)
            let perRow = (entry.columns + width - 1) / width
            for (index, row) in rows.enumerated() {
                for column in 0..<entry.columns {
                    output[index * entry.columns + column] *=
                        scales[row / height * perRow + column / width]
                }
            }
        }
        if let columnFactors {
            for index in output.indices { output[index] *= columnFactors[index % entry.columns] }
        }
        MappedFile.dropPages(of: codes.bytes)
        if case .packed(_, let scales?, _) = kind { MappedFile.dropPages(of: scales.bytes) }
    }

    private static func slice(
        _ tensor: SafetensorsFile.Tensor,
        _ rows: Range<Int>,
        of count: Int
    ) -> [UInt8] {
        let rowBytes = tensor.bytes.count / count
        return [UInt8](tensor.bytes[rows.lowerBound * rowBytes..<rows.upperBound * rowBytes])
    }

    private static func check(
        _ tensor: SafetensorsFile.Tensor,
        shape: [Int],
        path: String
    ) throws(ModelFileError) {
        guard tensor.shape == shape else {
            throw ModelFileError(
                .malformed,
                "\(path): tensor \(tensor.name) has the shape \(tensor.shape), not \(shape)"
            )
        }
    }

    /// NVFP4's scale of the tensor; compressed-tensors stores its reciprocal.
    private static func globalScale(
        _ module: String,
        _ tensors: Tensors,
        path: String
    ) throws -> Float {
        if let (tensor, path) = tensors[module + ".weight_scale_2"] {
            return try floats(tensor, path: path, count: 1)[0]
        }
        guard let (tensor, path) = tensors[module + ".weight_global_scale"] else {
            throw ModelFileError(.malformed, "\(path): \(module) has no global scale")
        }
        return 1 / (try floats(tensor, path: path, count: 1)[0])
    }

    /// The values of a tensor of `count` floats.
    static func floats(
        _ tensor: SafetensorsFile.Tensor,
        path: String,
        count: Int
    ) throws(ModelFileError) -> [Float] {
        guard tensor.count == count else {
            throw ModelFileError(
                .malformed,
                "\(path): tensor \(tensor.name) has \(tensor.count) elements, not \(count)"
            )
        }
        let buffer = AlignedBuffer<Float>(count: count)
        try tensor.copyFloats(rows: 0..<1, columns: count, to: buffer.elements, path: path)
        return Array(buffer.elements)
    }
}
