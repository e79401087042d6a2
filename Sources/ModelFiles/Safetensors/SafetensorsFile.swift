/// Element types of safetensors files that this module reads or writes.
public enum SafetensorsType: String, Sendable {
    /// 32-bit floats.
    case f32 = "F32"
    /// Half precision.
    case f16 = "F16"
    /// bfloat16.
    case bf16 = "BF16"
    /// Bytes: packed codes, E8M0 scales.
    case u8 = "U8"
    /// E4M3 bytes.
    case f8E4M3 = "F8_E4M3"
    /// 64-bit integers.
    case i64 = "I64"
    /// 32-bit integers.
    case i32 = "I32"

    /// Bytes per element.
    public var byteCount: Int {
        switch self {
        case .u8, .f8E4M3: 1
        case .f16, .bf16: 2
        case .f32, .i32: 4
        case .i64: 8
        }
    }
}

/// A safetensors file's directory; tensor data stays mapped.
///
/// - SeeAlso: huggingface/safetensors, README, "Format".
public struct SafetensorsFile {
    /// One tensor.
    public struct Tensor {
        /// The name.
        public let name: String
        /// The element type.
        public let type: SafetensorsType
        /// The shape, slowest first; empty for a scalar.
        public let shape: [Int]
        /// The stored bytes, little-endian.
        public let bytes: UnsafeRawBufferPointer
    }

    /// The mapped file.
    public let file: MappedFile
    /// Tensors by name.
    public let tensors: [String: Tensor]
    /// Free texts.
    public let metadata: [String: String]

    /// Reads and checks the directory: types, sizes, and that tensors tile the data without holes or
    /// overlaps.
    ///
    /// - Throws: ``ModelFileError``, naming the place.
    public init(path: String) throws(ModelFileError) {
        file = try MappedFile(path: path)
        if let substitute = UnreadableModel.substitute(file.bytes) {
            throw ModelFileError(.malformed, "\(path): \(substitute)")
        }
        var reader = ByteReader(file)
        let headerCount = try reader.integer(UInt64.self, "the header's length")
        guard headerCount <= 100_000_000 else {
            throw ModelFileError(
                .malformed,
                "\(path): a header of \(headerCount) bytes; the format allows 100,000,000"
            )
        }
        let json = try reader.bytes(Int(headerCount), "the header")
        let header = try SafetensorsHeader(json, path: path)
        metadata = header.metadata
        let dataStart = 8 + Int(headerCount)
        let dataCount = file.bytes.count - dataStart
        var tensors: [String: Tensor] = [:]
        var ranges: [(Int, Int, String)] = []
        for (name, entry) in header.tensors {
            tensors[name] = try Self.tensor(name, entry, dataStart: dataStart, file: file)
            ranges.append((entry.offsets.lowerBound, entry.offsets.upperBound, name))
        }
        ranges.sort { ($0.0, $0.1) < ($1.0, $1.1) }
        var end = 0
        var before: String?
        for (lower, upper, name) in ranges {
            guard lower == end else {
                throw ModelFileError(
                    .malformed,
                    """
                    \(path): tensor \(name) begins at byte \(lower) of the data, but \
                    \(before.map { "tensor \($0) before it ends" } ?? "the data begins") at \(end)
                    """
                )
            }
            end = upper
            before = name
        }
        guard end == dataCount else {
            throw ModelFileError(
                .malformed,
                """
                \(path): too long: its tensors take \(end) bytes, and \(dataCount - end) more follow \
                them
                """
            )
        }
        self.tensors = tensors
    }

    private static func tensor(
        _ name: String,
        _ entry: SafetensorsHeader.Entry,
        dataStart: Int,
        file: MappedFile
    ) throws(ModelFileError) -> Tensor {
        guard let type = SafetensorsType(rawValue: entry.type) else {
            throw ModelFileError(
                .unsupported,
                "\(file.path): tensor \(name) has the type \(entry.type), which is not read"
            )
        }
        var byteCount = type.byteCount
        for size in entry.shape {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            guard !overflow else {
                throw ModelFileError(
                    .malformed,
                    "\(file.path): tensor \(name) has the shape \(entry.shape)"
                )
            }
            byteCount = product
        }
        let available = file.bytes.count - dataStart
        guard entry.offsets.upperBound <= available else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): truncated: tensor \(name) lies at \(entry.offsets), the file holds \
                \(available) bytes of data
                """
            )
        }
        guard entry.offsets.count == byteCount else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): tensor \(name) of shape \(entry.shape) and type \(entry.type) takes \
                \(byteCount) bytes, not \(entry.offsets.count)
                """
            )
        }
        let lower = dataStart + entry.offsets.lowerBound
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[lower..<lower + byteCount])
        return Tensor(name: name, type: type, shape: entry.shape, bytes: bytes)
    }
}

extension SafetensorsFile.Tensor {
    /// Number of elements.
    public var count: Int { bytes.count / type.byteCount }

    /// Writes all FP32 values of a float tensor.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) for other types.
    func copyFloats(
        to output: UnsafeMutableBufferPointer<Float>,
        path: String
    ) throws(ModelFileError) {
        try copyFloats(rows: 0..<1, columns: count, to: output, path: path)
    }

    /// Writes the FP32 values of some rows of a float tensor.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) for other types.
    func copyFloats(
        rows: Range<Int>,
        columns: Int,
        to output: UnsafeMutableBufferPointer<Float>,
        path: String
    ) throws(ModelFileError) {
        let count = rows.count * columns
        precondition(
            output.count == count && rows.upperBound * columns <= self.count,
            "copyFloats: rows \(rows) of \(shape) to \(output.count) elements"
        )
        let first = rows.lowerBound * columns
        switch type {
        case .f32:
            for index in 0..<count {
                let bits = bytes.loadUnaligned(fromByteOffset: (first + index) * 4, as: UInt32.self)
                output[index] = Float(bitPattern: UInt32(littleEndian: bits))
            }
        case .bf16:
            for index in 0..<count {
                let bits = bytes.loadUnaligned(fromByteOffset: (first + index) * 2, as: UInt16.self)
                output[index] = Float(bitPattern: UInt32(UInt16(littleEndian: bits)) << 16)
            }
        case .f16:
            for index in 0..<count {
                let bits = bytes.loadUnaligned(fromByteOffset: (first + index) * 2, as: UInt16.self)
                output[index] = HalfPrecision.float(UInt16(littleEndian: bits))
            }
        default:
            throw ModelFileError(
                .unsupported,
                "\(path): tensor \(name) has the type \(type.rawValue), not a float"
            )
        }
    }
}
