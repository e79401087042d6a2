public import Kernels

/// Quantizes, dequantizes and fake-quantizes row-major tensors; blocks run along columns.
///
/// `fakeQuantize` gives, bit for bit, what `dequantize(quantize(x))` gives.
public enum BlockQuantizer {
    /// Checks that blocks tile the columns.
    ///
    /// - Throws: ``QuantizationError`` (`shapeMismatch`).
    public static func checkShape(rows: Int, columns: Int, format: QuantizationFormat) throws {
        guard rows >= 0, columns > 0, format.blockSize > 0, columns % format.blockSize == 0,
            columns * format.element.bitWidth % 8 == 0
        else {
            throw QuantizationError(
                .shapeMismatch,
                """
                \(columns) columns do not divide into blocks of \(format.blockSize) \
                (\(format.name)); choose a scaling_granularity that divides \(columns)
                """
            )
        }
    }

    /// The scale of a whole tensor that NVFP4 stores: `amax / (6 · 448)`.
    public static func globalScale(_ values: UnsafePointer<Float>, count: Int, team: ThreadTeam)
        -> Float
    {
        // One slot per thread keeps the reduction free of locks and of order.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: team.threadCount) { slots in
            slots.initialize(repeating: 0)
            let share = (count + team.threadCount - 1) / team.threadCount
            team.parallel { index in
                let lower = min(index * share, count)
                let upper = min(lower + share, count)
                slots[index] = QuantizeKernels.amax(values + lower, count: upper - lower)
            }
            var amax: Float = 0
            for slot in slots {
                amax = slot.isNaN || slot > amax ? slot : amax
            }
            return amax / 2688
        }
    }

    /// Rounds `source` to the format's values; `destination` may be `source`.
    ///
    /// A block with a NaN or an infinity becomes NaN. Allocates nothing on the heap. `source`:
    /// Row-major `[rows, columns]`; blocks must divide the columns. `team`: Threads to use.
    /// - SeeAlso: reference kernel `qat_fake_quantize_mx_f32_ref`.
    public static func fakeQuantize(
        _ source: UnsafePointer<Float>,
        into destination: UnsafeMutablePointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        team: ThreadTeam
    ) {
        precondition(
            columns % format.blockSize == 0,
            "fakeQuantize: \(columns) columns, blocks of \(format.blockSize)"
        )
        let grid = format.element.grid
        switch format.scaleKind {
        case .e8m0:
            team.parallelFor(count: rows * columns, grain: format.blockSize) { range in
                QuantizeKernels.fakeQuantizeMX(
                    destination + range.lowerBound,
                    source + range.lowerBound,
                    count: range.count,
                    blockSize: format.blockSize,
                    grid: grid,
                    scaleMode: format.scaleMode.kernelCode,
                    tie: format.tieRule.kernelCode
                )
            }
        case .e4m3TwoLevel:
            let scale = globalScale(source, count: rows * columns, team: team)
            team.parallelFor(count: rows * columns, grain: format.blockSize) { range in
                QuantizeKernels.fakeQuantizeNVFP4(
                    destination + range.lowerBound,
                    source + range.lowerBound,
                    count: range.count,
                    blockSize: format.blockSize,
                    globalScale: scale
                )
            }
        }
    }

    /// Zeroes the gradient where `source` lies beyond what its block's scale can hold.
    ///
    /// NVFP4 scales never saturate an element by more than their own rounding; it is left alone.
    public static func maskSaturated(
        gradient: UnsafeMutablePointer<Float>,
        source: UnsafePointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        team: ThreadTeam
    ) {
        guard format.scaleKind == .e8m0 else {
            return
        }
        let grid = format.element.grid
        team.parallelFor(count: rows * columns, grain: format.blockSize) { range in
            QuantizeKernels.maskSaturated(
                gradient + range.lowerBound,
                source + range.lowerBound,
                count: range.count,
                blockSize: format.blockSize,
                grid: grid,
                scaleMode: format.scaleMode.kernelCode
            )
        }
    }

    /// Quantizes to packed codes and scales.
    ///
    /// `values`: Row-major `[rows, columns]`.
    ///
    /// - Throws: ``QuantizationError`` (`nonFiniteInput`, `shapeMismatch`).
    public static func quantize(
        _ values: UnsafeBufferPointer<Float>,
        rows: Int,
        columns: Int,
        format: QuantizationFormat,
        team: ThreadTeam
    ) throws -> PackedTensor {
        try checkShape(rows: rows, columns: columns, format: format)
        guard values.count == rows * columns, let source = values.baseAddress else {
            throw QuantizationError(
                .shapeMismatch,
                "\(values.count) values are not [\(rows), \(columns)]"
            )
        }
        let tensorScale = globalScale(source, count: values.count, team: team)
        guard tensorScale.isFinite else {
            throw QuantizationError(
                .nonFiniteInput,
                "the tensor [\(rows), \(columns)] holds a NaN or an infinity"
            )
        }
        let bits = format.element.bitWidth
        let packedCodes = AlignedBuffer<UInt8>(count: values.count * bits / 8)
        let scales = AlignedBuffer<UInt8>(count: values.count / format.blockSize)
        let codes = AlignedBuffer<UInt8>(count: values.count)
        let isTwoLevel = format.scaleKind == .e4m3TwoLevel
        // A whole number of blocks and of packed bytes.
        let grain = format.blockSize * 4
        team.parallelFor(count: values.count, grain: grain) { range in
            let codeStart = codes.pointer + range.lowerBound
            let scaleStart = scales.pointer + range.lowerBound / format.blockSize
            if isTwoLevel {
                QuantizeKernels.quantizeNVFP4(
                    codes: codeStart,
                    scales: scaleStart,
                    source + range.lowerBound,
                    count: range.count,
                    blockSize: format.blockSize,
                    globalScale: tensorScale
                )
            } else {
                QuantizeKernels.quantizeMX(
                    codes: codeStart,
                    scales: scaleStart,
                    source + range.lowerBound,
                    count: range.count,
                    blockSize: format.blockSize,
                    grid: format.element.grid,
                    scaleMode: format.scaleMode.kernelCode,
                    tie: format.tieRule.kernelCode
                )
            }
            QuantizeKernels.pack(
                packedCodes.pointer + range.lowerBound * bits / 8,
                codes: codeStart,
                count: range.count,
                codeBits: bits
            )
        }
        return try PackedTensor(
            format: format,
            rows: rows,
            columns: columns,
            codes: [UInt8](packedCodes.elements),
            scales: [UInt8](scales.elements),
            globalScale: isTwoLevel ? tensorScale : nil
        )
    }

    /// The real values of a stored tensor.
    ///
    /// `destination`: Row-major, `rows · columns` elements.
    ///
    /// - Throws: ``QuantizationError`` (`shapeMismatch`).
    public static func dequantize(
        _ packed: PackedTensor,
        into destination: UnsafeMutableBufferPointer<Float>,
        team: ThreadTeam
    ) throws {
        let count = packed.rows * packed.columns
        guard destination.count == count, let start = destination.baseAddress else {
            throw QuantizationError(
                .shapeMismatch,
                "\(destination.count) values cannot hold [\(packed.rows), \(packed.columns)]"
            )
        }
        let format = packed.format
        let bits = format.element.bitWidth
        let codes = AlignedBuffer<UInt8>(count: count)
        packed.codes.withUnsafeBufferPointer { packedCodes in
            packed.scales.withUnsafeBufferPointer { scales in
                guard let packedStart = packedCodes.baseAddress,
                    let scaleStart = scales.baseAddress
                else {
                    return
                }
                team.parallelFor(count: count, grain: format.blockSize * 4) { range in
                    QuantizeKernels.unpack(
                        codes.pointer + range.lowerBound,
                        packed: packedStart + range.lowerBound * bits / 8,
                        count: range.count,
                        codeBits: bits
                    )
                    decode(
                        start + range.lowerBound,
                        codes: codes.pointer + range.lowerBound,
                        scales: scaleStart + range.lowerBound / format.blockSize,
                        count: range.count,
                        packed: packed
                    )
                }
            }
        }
    }

    private static func decode(
        _ destination: UnsafeMutablePointer<Float>,
        codes: UnsafePointer<UInt8>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        packed: PackedTensor
    ) {
        let format = packed.format
        if let globalScale = packed.globalScale {
            QuantizeKernels.dequantizeNVFP4(
                destination,
                codes: codes,
                scales: scales,
                count: count,
                blockSize: format.blockSize,
                globalScale: globalScale
            )
        } else {
            QuantizeKernels.dequantizeMX(
                destination,
                codes: codes,
                scales: scales,
                count: count,
                blockSize: format.blockSize,
                grid: format.element.grid
            )
        }
    }
}
