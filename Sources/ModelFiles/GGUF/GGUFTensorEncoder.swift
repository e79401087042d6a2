internal import Formats
internal import Quantization
internal import Transformer

/// Encodes one parameter as llama.cpp stores it.
struct GGUFTensorEncoder {
    /// A tensor of the file.
    struct Tensor {
        var name: String
        /// Slowest first.
        var shape: [Int]
        var type: GGUFTensorType
        var bytes: [UInt8]
    }

    /// The block types that are written, the narrowest first.
    enum Block: CaseIterable {
        case mxfp4
        case nvfp4
        case q8_0

        /// The block type that holds a format in rows of so many columns; nil if none does.
        init?(_ format: QuantizationFormat, columns: Int) {
            let found = Self.allCases.first {
                format.isStored(as: $0.format) && columns.isMultiple(of: $0.type.blockSize)
            }
            guard let found else { return nil }
            self = found
        }

        var type: GGUFTensorType {
            switch self {
            case .mxfp4: .mxfp4
            case .nvfp4: .nvfp4
            case .q8_0: .q8_0
            }
        }

        private var format: QuantizationFormat {
            switch self {
            case .mxfp4: .mxfp4
            case .nvfp4: .nvfp4
            case .q8_0: .mxint8
            }
        }

        /// Whether a packed tensor is held exactly.
        func holds(_ packed: PackedTensor) -> Bool {
            switch self {
            case .mxfp4, .nvfp4: true
            case .q8_0:
                // Q8_0's scale is half precision: powers of two from 2^-24 to 2^15, a code step being
                // 2^-6 of the block's scale. Zeros are zeros under any.
                packed.scales.enumerated().allSatisfy { block, scale in
                    let size = packed.format.blockSize
                    return (127 - 18...127 + 21).contains(Int(scale))
                        || packed.codes[block * size..<(block + 1) * size].allSatisfy { $0 == 0 }
                }
            }
        }
    }

    private let entry: ParameterLayout.Entry
    private let values: UnsafeBufferPointer<Float>
    private let packed: PackedTensor?
    private let place: GGUFLayout.Place

    init(
        _ entry: ParameterLayout.Entry,
        values: UnsafeBufferPointer<Float>,
        place: GGUFLayout.Place,
        packed: PackedTensor?
    ) {
        self.entry = entry
        self.values = values
        self.packed = packed
        self.place = place
    }

    /// The tensors that a place is written as, known before the values are.
    ///
    /// The type is another where a block type cannot hold the scales that are found.
    static func tensors(
        of place: GGUFLayout.Place,
        format: QuantizationFormat?
    ) -> [(name: String, shape: [Int], type: GGUFTensorType)] {
        let type = type(of: format, shape: place.shape)
        return [(place.name, place.shape, type)]
            + (type == .nvfp4 ? [(scaleName(place.name), [1], .f32)] : [])
    }

    /// The type of a tensor: the block type that holds a format, else BF16 where that does, else FP32;
    /// vectors, which no format is of, are FP32.
    static func type(of format: QuantizationFormat?, shape: [Int]) -> GGUFTensorType {
        guard shape.count > 1 else { return .f32 }
        guard let format else { return .bf16 }
        return Block(format, columns: shape[1])?.type ?? plainType(of: format)
    }

    private static func plainType(of format: QuantizationFormat) -> GGUFTensorType {
        format.isExactInBF16 ? .bf16 : .f32
    }

    private static func scaleName(_ name: String) -> String {
        String(name.dropLast(".weight".count)) + ".scale"
    }

    /// The tensor, or a fused one's part of the entry's shape, and NVFP4's scale beside it.
    var tensors: [Tensor] {
        let name = place.name
        guard let packed, let block = Block(packed.format, columns: entry.columns),
            block.holds(packed)
        else {
            let isMatrix = entry.shape.count > 1
            let plain = packed.map { Self.plainType(of: $0.format) } ?? (isMatrix ? .bf16 : .f32)
            let bytes = plain == .f32 ? floats() : bfloats()
            return [Tensor(name: name, shape: entry.shape, type: plain, bytes: bytes)]
        }
        let type = block.type
        let codes = Self.codes(packed)
        let bytes = rows(byteCount: entry.columns / type.blockSize * type.blockByteCount) {
            row,
            output in
            Self.encode(row, of: packed, codes: codes, as: block, to: output)
        }
        var tensors = [Tensor(name: name, shape: entry.shape, type: type, bytes: bytes)]
        if let scale = packed.globalScale {
            let bits = scale.bitPattern.littleEndian
            tensors.append(
                Tensor(
                    name: Self.scaleName(name),
                    shape: [1],
                    type: .f32,
                    bytes: withUnsafeBytes(of: bits) { Array($0) }
                )
            )
        }
        return tensors
    }

    /// One code a byte.
    private static func codes(_ packed: PackedTensor) -> [UInt8] {
        guard packed.format.element.bitWidth == 4 else { return packed.codes }
        let count = packed.codes.count
        return [UInt8](unsafeUninitializedCapacity: 2 * count) { output, initialized in
            for index in 0..<count {
                output[2 * index] = packed.codes[index] & 15
                output[2 * index + 1] = packed.codes[index] >> 4
            }
            initialized = 2 * count
        }
    }

    private static func encode(
        _ row: Int,
        of packed: PackedTensor,
        codes: [UInt8],
        as kind: Block,
        to output: UnsafeMutablePointer<UInt8>
    ) {
        let type = kind.type
        let first = row * packed.columns
        let scale = first / packed.format.blockSize
        for block in 0..<packed.columns / type.blockSize {
            let start = first + block * type.blockSize
            let target = output + block * type.blockByteCount
            switch kind {
            case .mxfp4:
                target[0] = packed.scales[scale + block]
                for j in 0..<16 { target[1 + j] = codes[start + j] | codes[start + j + 16] << 4 }
            case .nvfp4:
                for part in 0..<4 {
                    target[part] = packed.scales[scale + 4 * block + part] & 0x7F
                    let from = start + 16 * part
                    for j in 0..<8 {
                        target[4 + 8 * part + j] = codes[from + j] | codes[from + j + 8] << 4
                    }
                }
            case .q8_0:
                let half = Self.half(exponent: Int(packed.scales[scale + block]) - 127 - 6)
                target[0] = UInt8(truncatingIfNeeded: half)
                target[1] = UInt8(half >> 8)
                for j in 0..<32 { target[2 + j] = codes[start + j] }
            }
        }
    }

    /// A power of two in half precision, subnormals included; 0 below, and the largest above, which
    /// only blocks of zeros have.
    private static func half(exponent: Int) -> UInt16 {
        if exponent >= -14 { return UInt16(min(exponent, 15) + 15) << 10 }
        return exponent >= -24 ? 1 << UInt16(exponent + 24) : 0
    }

    /// Rows in the order of the file, each written by `body`.
    private func rows(
        byteCount: Int,
        _ body: (Int, UnsafeMutablePointer<UInt8>) -> Void
    ) -> [UInt8] {
        let count = entry.rows * byteCount
        return [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
            if let start = output.baseAddress {
                for row in 0..<entry.rows {
                    let fileRow =
                        place.permutedHeads.map {
                            GGUFLayout.fileRow(row, rows: entry.rows, heads: $0)
                        } ?? row
                    body(row, start + fileRow * byteCount)
                }
            }
            initialized = count
        }
    }

    private func bfloats() -> [UInt8] {
        rows(byteCount: entry.columns * 2) { row, output in
            let line = UnsafeBufferPointer(rebasing: values[rowRange(row)])
            HalfPrecision.writeBFloats(line, to: output)
        }
    }

    private func floats() -> [UInt8] {
        if entry.shape.count == 1 { return vector() }
        return matrix()
    }

    /// A norm with what the converter adds, or a bias in the order of its module's rows.
    private func vector() -> [UInt8] {
        var output = [Float](repeating: 0, count: entry.count)
        for row in 0..<entry.count {
            let fileRow =
                place.permutedHeads.map {
                    GGUFLayout.fileRow(row, rows: entry.count, heads: $0)
                } ?? row
            output[fileRow] = values[row] + place.offset
        }
        return output.withUnsafeBytes { Array($0) }
    }

    private func matrix() -> [UInt8] {
        rows(byteCount: entry.columns * 4) { row, output in
            let line = UnsafeRawBufferPointer(
                UnsafeBufferPointer(rebasing: values[rowRange(row)])
            )
            UnsafeMutableRawPointer(output).copyMemory(
                from: line.baseAddress ?? UnsafeRawPointer(output),
                byteCount: line.count
            )
        }
    }

    private func rowRange(_ row: Int) -> Range<Int> {
        row * entry.columns..<(row + 1) * entry.columns
    }
}
