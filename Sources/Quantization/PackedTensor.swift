/// A quantized tensor as it is stored: packed codes and block scales, both row-major.
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
    /// One byte per block, `[rows, columns / blockSize]`.
    public let scales: [UInt8]
    /// NVFP4's scale of the whole tensor, `amax / 2688`.
    public let globalScale: Float?

    /// A stored tensor; sizes are checked.
    ///
    /// - Throws: ``QuantizationError`` (`shapeMismatch`).
    public init(
        format: QuantizationFormat,
        rows: Int,
        columns: Int,
        codes: [UInt8],
        scales: [UInt8],
        globalScale: Float?
    ) throws {
        try BlockQuantizer.checkShape(rows: rows, columns: columns, format: format)
        let codeBytes = rows * columns * format.element.bitWidth / 8
        let scaleBytes = rows * columns / format.blockSize
        guard codes.count == codeBytes, scales.count == scaleBytes,
            (globalScale != nil) == (format.scaleKind == .e4m3TwoLevel)
        else {
            throw QuantizationError(
                .shapeMismatch,
                """
                a [\(rows), \(columns)] \(format.name) tensor takes \(codeBytes) code bytes and \
                \(scaleBytes) scale bytes, not \(codes.count) and \(scales.count)
                """
            )
        }
        self.format = format
        self.rows = rows
        self.columns = columns
        self.codes = codes
        self.scales = scales
        self.globalScale = globalScale
    }

    /// Stored bytes, codes and scales.
    public var byteCount: Int { codes.count + scales.count + (globalScale == nil ? 0 : 4) }
}
