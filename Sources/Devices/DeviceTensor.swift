/// What a tensor's elements are.
public enum ElementType: Sendable {
    /// IEEE 754 single precision.
    case float32
    /// The upper half of ``float32``.
    case bfloat16
    /// IEEE 754 double precision.
    case float64
    /// Token identifiers.
    case int32
    /// Scales of blocks.
    case uint8

    /// Bytes per element.
    public var byteCount: Int {
        switch self {
        case .float32, .int32: 4
        case .float64: 8
        case .bfloat16: 2
        case .uint8: 1
        }
    }
}

/// Memory that a device owns, or that it was lent.
public protocol DeviceMemory: AnyObject, Sendable {
    /// Its size.
    var byteCount: Int { get }
}

/// A matrix in a device's memory, row by row without gaps.
///
/// A view: it keeps the memory alive and owns nothing else. A vector is a matrix of one row.
public struct DeviceTensor: Sendable {
    /// Where the elements lie.
    public let memory: any DeviceMemory
    /// Elements of this type before the first.
    public let offset: Int
    /// Rows.
    public let rows: Int
    /// Elements per row.
    public let columns: Int
    /// What the elements are.
    public let type: ElementType

    /// A view of `rows` by `columns` elements of `memory`, the first after `offset` others.
    ///
    /// - Precondition: They lie within the memory.
    public init(
        _ memory: any DeviceMemory,
        offset: Int = 0,
        rows: Int = 1,
        columns: Int,
        type: ElementType = .float32
    ) {
        precondition(
            offset >= 0 && rows >= 0 && columns >= 0
                && (offset + rows * columns) * type.byteCount <= memory.byteCount,
            "a tensor [\(rows), \(columns)] beyond its memory"
        )
        self.memory = memory
        self.offset = offset
        self.rows = rows
        self.columns = columns
        self.type = type
    }

    /// Number of elements.
    public var count: Int { rows * columns }

    /// The rows of a range.
    public func rows(_ range: Range<Int>) -> DeviceTensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        return DeviceTensor(
            memory,
            offset: offset + range.lowerBound * columns,
            rows: range.count,
            columns: columns,
            type: type
        )
    }

    /// The first rows.
    public func first(_ count: Int) -> DeviceTensor { rows(0..<count) }

    /// The first elements, seen as `rows` by `columns`.
    public func reshaped(rows: Int, columns: Int) -> DeviceTensor {
        precondition(rows * columns <= count, "\(rows) by \(columns) of \(count) elements")
        return DeviceTensor(memory, offset: offset, rows: rows, columns: columns, type: type)
    }
}

/// Hands out tensors of `rows` rows from one memory, one behind the other.
public struct TensorCarver {
    private let memory: any DeviceMemory
    private let rows: Int
    private var offset = 0

    /// Carves single-precision tensors from the start of `memory`.
    public init(_ memory: any DeviceMemory, rows: Int) {
        self.memory = memory
        self.rows = rows
    }

    /// The next tensor, of `columns` elements per row; none of them where that is 0.
    public mutating func take(_ columns: Int) -> DeviceTensor {
        defer { offset += rows * columns }
        return DeviceTensor(memory, offset: offset, rows: rows, columns: columns)
    }
}
