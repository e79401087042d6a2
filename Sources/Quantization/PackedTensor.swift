public import Formats

/// A quantized tensor as it is stored: packed codes and scales, row-major.
public struct PackedTensor: Sendable, Equatable {
    /// The number format.
    public let format: QuantizationFormat
    /// Rows: output features of a linear layer.
    public let rows: Int
    /// Columns: input features; blocks run along them.
    public let columns: Int
    /// The elements' codes.
    ///
    /// 4 bits: low nibble is the even column; 6 bits: four codes in three bytes, little-endian; 8
    /// bits: one a byte.
    public let codes: [UInt8]
    /// One byte per block, `[rows, columns / blockSize]`; empty where scales are FP32 only.
    public let scales: [UInt8]
    /// FP32 scales: one of a two-level or per-tensor format, one per row of a per-channel one.
    public let floatScales: [Float]

    /// A stored tensor; sizes are checked.
    ///
    /// - Throws: ``QuantizationError`` (`shapeMismatch`).
    public init(
        format: QuantizationFormat,
        rows: Int,
        columns: Int,
        codes: [UInt8],
        scales: [UInt8],
        floatScales: [Float]
    ) throws {
        try BlockQuantizer.checkShape(rows: rows, columns: columns, format: format)
        let codeBytes = rows * columns * format.element.bitWidth / 8
        let scaleBytes = format.blockScaleCount(rows: rows, columns: columns)
        guard codes.count == codeBytes, scales.count == scaleBytes,
            floatScales.count == format.floatScaleCount(rows: rows)
        else {
            throw QuantizationError(
                .shapeMismatch,
                """
                a [\(rows), \(columns)] \(format.name) tensor takes \(codeBytes) code bytes, \
                \(scaleBytes) scale bytes and \(format.floatScaleCount(rows: rows)) FP32 scales, \
                not \(codes.count), \(scales.count) and \(floatScales.count)
                """
            )
        }
        self.format = format
        self.rows = rows
        self.columns = columns
        self.codes = codes
        self.scales = scales
        self.floatScales = floatScales
    }

    /// The one FP32 scale of the tensor, where its format has such.
    public var globalScale: Float? {
        format.scaleKind == .perChannel ? nil : floatScales.first
    }

    /// Stored bytes, codes and scales.
    public var byteCount: Int { codes.count + scales.count + 4 * floatScales.count }
}
