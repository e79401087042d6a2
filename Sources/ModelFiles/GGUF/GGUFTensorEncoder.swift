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

    private let entry: ParameterLayout.Entry
    private let values: UnsafeMutableBufferPointer<Float>
    private let packed: PackedTensor?
    private let heads: Int?

    init(_ entry: ParameterLayout.Entry, model: LoadedModel, packed: PackedTensor?) {
        self.entry = entry
        values = model.parameters.elements(of: entry)
        self.packed = packed
        heads = GGUFNames.permutedHeads(entry.name, model.configuration)
    }

    /// The tensor, and NVFP4's scale beside it.
    var tensors: [Tensor] {
        let name = GGUFNames.name(of: entry.name)
        guard let packed, let type = Self.type(of: packed) else {
            // NVFP4's products of scales do not fit into BF16.
            if entry.shape.count == 1 || packed?.globalScale != nil {
                return [Tensor(name: name, shape: entry.shape, type: .f32, bytes: floats())]
            }
            return [Tensor(name: name, shape: entry.shape, type: .bf16, bytes: bfloats())]
        }
        let codes = Self.codes(packed)
        let bytes = rows(byteCount: entry.columns / type.blockSize * type.blockByteCount) {
            row,
            output in
            Self.encode(row, of: packed, codes: codes, as: type, into: &output)
        }
        var tensors = [Tensor(name: name, shape: entry.shape, type: type, bytes: bytes)]
        if let scale = packed.globalScale {
            let bits = scale.bitPattern.littleEndian
            tensors.append(
                Tensor(
                    name: String(name.dropLast(".weight".count)) + ".scale",
                    shape: [1],
                    type: .f32,
                    bytes: withUnsafeBytes(of: bits) { Array($0) }
                )
            )
        }
        return tensors
    }

    /// The block type that holds a packed tensor exactly, or nil if none does.
    private static func type(of packed: PackedTensor) -> GGUFTensorType? {
        if packed.format.isStored(as: .mxfp4) { return .mxfp4 }
        if packed.format.isStored(as: .nvfp4) { return packed.columns % 64 == 0 ? .nvfp4 : nil }
        // Q8_0's scale is half precision: powers of two from 2^-14 to 2^15, a code step being 2^-6.
        let fits = packed.scales.allSatisfy { (127 - 8...127 + 21).contains(Int($0)) || $0 == 0 }
        return packed.format.isStored(as: .mxint8) && fits ? .q8_0 : nil
    }

    /// One code a byte.
    private static func codes(_ packed: PackedTensor) -> [UInt8] {
        guard packed.format.element.bitWidth == 4 else { return packed.codes }
        return packed.codes.flatMap { [$0 & 15, $0 >> 4] }
    }

    private static func encode(
        _ row: Int,
        of packed: PackedTensor,
        codes: [UInt8],
        as type: GGUFTensorType,
        into output: inout [UInt8]
    ) {
        let first = row * packed.columns
        let scale = first / packed.format.blockSize
        for block in 0..<packed.columns / type.blockSize {
            let start = first + block * type.blockSize
            switch type {
            case .mxfp4:
                output.append(packed.scales[scale + block])
                for j in 0..<16 { output.append(codes[start + j] | codes[start + j + 16] << 4) }
            case .nvfp4:
                for part in 0..<4 { output.append(packed.scales[scale + 4 * block + part] & 0x7F) }
                for part in 0..<4 {
                    let part = start + 16 * part
                    for j in 0..<8 { output.append(codes[part + j] | codes[part + j + 8] << 4) }
                }
            default:
                let byte = Int(packed.scales[scale + block])
                // A zero block's scale is a subnormal of E8M0, which half precision lacks.
                let half = byte == 0 ? 0 : UInt16((byte - 127 - 6 + 15) << 10)
                output.append(UInt8(truncatingIfNeeded: half))
                output.append(UInt8(half >> 8))
                output += codes[start..<start + 32]
            }
        }
    }

    /// Rows in the order of the file.
    private func rows(byteCount: Int, _ body: (Int, inout [UInt8]) -> Void) -> [UInt8] {
        var order = Array(0..<entry.rows)
        if let heads {
            for row in 0..<entry.rows {
                order[GGUFNames.fileRow(row, rows: entry.rows, heads: heads)] = row
            }
        }
        var output: [UInt8] = []
        output.reserveCapacity(entry.rows * byteCount)
        for row in order { body(row, &output) }
        return output
    }

    private func bfloats() -> [UInt8] {
        rows(byteCount: entry.columns * 2) { row, output in
            for column in 0..<entry.columns {
                let bits = HalfPrecision.bfloat(values[row * entry.columns + column])
                output.append(UInt8(truncatingIfNeeded: bits))
                output.append(UInt8(bits >> 8))
            }
        }
    }

    private func floats() -> [UInt8] {
        rows(byteCount: entry.columns * 4) { row, output in
            for column in 0..<entry.columns {
                let bits = values[row * entry.columns + column].bitPattern.littleEndian
                withUnsafeBytes(of: bits) { output.append(contentsOf: $0) }
            }
        }
    }
}
