public import Formats

/// What a recipe makes of a model, layer by layer, before anything is computed.
public struct LayerTable: Sendable {
    /// One weight matrix.
    public struct Row: Sendable, Equatable {
        /// The module's name.
        public var module: String
        /// `[out, in]`.
        public var shape: [Int]
        /// The format's name; `bf16` where it is left alone.
        public var format: String
        /// Elements per block scale; nil where there are none.
        public var blockSize: Int?
        /// Stored bits per weight, block scales included.
        public var bitsPerWeight: Double
        /// Stored bytes.
        public var byteCount: Int
        /// Where the format comes from.
        public var origin: String
        /// Whether it is quantized.
        public var isQuantized: Bool
    }

    /// Every weight matrix, in the model's order.
    public let rows: [Row]

    /// The table of a model's shape under a recipe's final formats.
    ///
    /// - Throws: `TransformerError` (`invalidRecipe`).
    public init(_ configuration: ModelConfiguration, recipe: QuantizationRecipe) throws {
        let layout = ParameterLayout(configuration: configuration)
        rows = try layout.assignments(of: recipe).map { assignment in
            let entry = assignment.entry
            let format = assignment.format
            return Row(
                module: assignment.module,
                shape: entry.shape,
                format: format?.name ?? "bf16",
                blockSize: format.flatMap { $0.scaleKind.hasBlocks ? $0.blockSize : nil },
                bitsPerWeight: format?.bitsPerWeight ?? 16,
                byteCount: format?.storedByteCount(rows: entry.rows, columns: entry.columns)
                    ?? entry.count * 2,
                origin: assignment.origin,
                isQuantized: format != nil
            )
        }
    }

    /// How many are quantized.
    public var quantizedCount: Int { rows.count { $0.isQuantized } }

    /// Stored bytes of all rows.
    public var byteCount: Int { rows.reduce(0) { $0 + $1.byteCount } }

    /// Stored bits per weight over the quantized rows; 0 if there are none.
    public var quantizedBitsPerWeight: Double {
        let quantized = rows.filter(\.isQuantized)
        let weights = quantized.reduce(0) { $0 + $1.shape.reduce(1, *) }
        return Double(quantized.reduce(0) { $0 + $1.byteCount } * 8) / Double(max(weights, 1))
    }
}
