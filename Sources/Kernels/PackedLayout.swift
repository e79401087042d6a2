internal import CKernels
public import Formats

/// How a weight lies in memory that products read packed: tiles of 16 rows.
///
/// - SeeAlso: `qat_packed.h`, which says where each byte is and what a product's sum is, to the bit.
public struct PackedLayout: Sendable, Equatable {
    /// What a code is.
    public enum Element: Sendable, Equatable {
        /// A narrow number under a scale.
        case narrow(ElementFormat)
        /// The upper half of an FP32 number.
        case bfloat16
        /// IEEE 754 half precision.
        case float16
        /// IEEE 754 single precision.
        case float32

        /// Bits of a stored code.
        public var bitWidth: Int {
            switch self {
            case .narrow(let element): element.bitWidth
            case .bfloat16, .float16: 16
            case .float32: 32
            }
        }
    }

    /// The largest block of columns that shares a scale.
    public static let largestBlock = Int(QAT_TILE_MAX_BLOCK)

    /// What a code is.
    public let element: Element
    /// How blocks are scaled; nil where they have no scales.
    public let blockScales: ScaleKind?
    /// Rows: output features.
    public let rows: Int
    /// Columns: input features.
    public let columns: Int
    /// Columns under a block scale.
    public let blockSize: Int

    /// The layout of a weight in full or half precision.
    ///
    /// - Precondition: It has columns.
    public init(_ element: Element, rows: Int, columns: Int) {
        precondition(columns > 0, "a weight without columns")
        self.element = element
        self.rows = rows
        self.columns = columns
        blockScales = nil
        blockSize = Int(QAT_TILE_BLOCK)
    }

    /// The layout of a weight in a format; nil where blocks are not of 8, 16, … columns, up to
    /// ``largestBlock``, or do not divide the columns.
    public init?(_ format: QuantizationFormat, rows: Int, columns: Int) {
        element = .narrow(format.element)
        self.rows = rows
        self.columns = columns
        let hasBlocks = format.scaleKind.hasBlocks
        blockScales = hasBlocks ? format.scaleKind : nil
        blockSize = hasBlocks ? format.blockSize : Int(QAT_TILE_BLOCK)
        guard columns > 0 else { return nil }
        guard hasBlocks else { return }
        guard blockSize.isMultiple(of: Int(QAT_TILE_COLUMNS)), blockSize > 0,
            blockSize <= Self.largestBlock, columns.isMultiple(of: blockSize)
        else { return nil }
    }

    /// Tiles of rows.
    public var tileCount: Int { qat_tile_count(rows) }
    /// Block scales of a row.
    var blocksPerRow: Int { blockScales == nil ? 0 : columns / blockSize }
    private var groupCount: Int { qat_tile_groups(columns) }
    /// Code bytes of a tile, without the upper bits of 6-bit codes.
    var tileCodeBytes: Int { groupCount * qat_packed_group_bytes(kernelElement) }
    /// Bytes of the upper bits of a tile's 6-bit codes.
    var tileHighBytes: Int { groupCount * qat_packed_high_bytes(kernelElement) }
    /// Scale bytes of a tile.
    var tileScaleBytes: Int { blocksPerRow * Int(QAT_TILE_ROWS) }

    // Parts begin on cache lines, and kernels may read a line behind each.
    private static func aligned(_ byteCount: Int) -> Int { (byteCount + 127) / 64 * 64 }
    /// Where upper bits begin; codes begin at 0.
    var highOffset: Int { Self.aligned(tileCount * tileCodeBytes) }
    /// Where block scales begin.
    var scaleOffset: Int { highOffset + Self.aligned(tileCount * tileHighBytes) }
    /// Where FP32 factors begin, one per row of all tiles.
    var factorOffset: Int { scaleOffset + Self.aligned(tileCount * tileScaleBytes) }
    /// Bytes of all of it.
    public var byteCount: Int {
        factorOffset + Self.aligned(tileCount * Int(QAT_TILE_ROWS) * MemoryLayout<Float>.stride)
    }

    /// The kernels' word for ``element``.
    var kernelElement: qat_packed_element {
        switch element {
        case .narrow(.e2m1): QAT_PACKED_E2M1
        case .narrow(.e2m3): QAT_PACKED_E2M3
        case .narrow(.e3m2): QAT_PACKED_E3M2
        case .narrow(.e4m3): QAT_PACKED_E4M3
        case .narrow(.e5m2): QAT_PACKED_E5M2
        case .narrow(.int8): QAT_PACKED_INT8
        case .bfloat16: QAT_PACKED_BF16
        case .float16: QAT_PACKED_F16
        case .float32: QAT_PACKED_F32
        }
    }

    /// The kernels' word for ``blockScales``.
    var kernelSteps: qat_packed_steps {
        switch blockScales {
        case .e8m0: QAT_STEPS_E8M0
        case .e4m3TwoLevel: QAT_STEPS_E4M3
        case .perTensor, .perChannel, nil: QAT_STEPS_ONE
        }
    }

    /// The kernels' view of a weight that lies at `start`.
    func weight(at start: UnsafePointer<UInt8>) -> qat_packed_weight {
        qat_packed_weight(
            codes: start,
            high: start + highOffset,
            scales: start + scaleOffset,
            factors: UnsafeRawPointer(start + factorOffset).assumingMemoryBound(to: Float.self),
            rows: rows,
            columns: columns,
            block: blockSize,
            element: kernelElement,
            steps: kernelSteps
        )
    }
}
