internal import CKernels

/// How one element of a block-scaled format rounds; see `qat_quantize.h`.
public struct ElementGrid: Sendable, Hashable {
    /// Bits of the mantissa after the leading one.
    public let mantissaBits: Int
    /// Exponent of the smallest normal value.
    public let minimumExponent: Int
    /// Exponent of the largest power of two that is representable.
    public let maximumExponent: Int
    /// Largest finite magnitude.
    public let maximumValue: Float
    /// Bits of a stored code.
    public let codeBits: Int
    /// Whether codes are two's complement in a fixed step.
    public let isInteger: Bool

    /// Describes an element type by its constants.
    public init(
        mantissaBits: Int,
        minimumExponent: Int,
        maximumExponent: Int,
        maximumValue: Float,
        codeBits: Int,
        isInteger: Bool
    ) {
        self.mantissaBits = mantissaBits
        self.minimumExponent = minimumExponent
        self.maximumExponent = maximumExponent
        self.maximumValue = maximumValue
        self.codeBits = codeBits
        self.isInteger = isInteger
    }

    var cElement: qat_element {
        qat_element(
            mantissa_bits: Int32(mantissaBits),
            min_exponent: Int32(minimumExponent),
            emax: Int32(maximumExponent),
            max_value: maximumValue,
            bits: Int32(codeBits),
            is_int: isInteger ? 1 : 0
        )
    }
}

/// The kernels of block-scaled formats.
///
/// Counts are multiples of the block size.
public enum QuantizeKernels {
    /// Largest magnitude; NaN or infinity if any element is.
    public static func amax(_ values: UnsafePointer<Float>, count: Int) -> Float {
        qat_amax_f32(values, count)
    }

    /// Rounds each block to the grid under its own power-of-two scale and back.
    ///
    /// `scaleMode`: 0 floor, 1 even, 2 even_ct, 3 ceil, 4 rceil. `tie`: 0 even, 1 away, 2 zero.
    public static func fakeQuantizeMX(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        grid: ElementGrid,
        scaleMode: Int,
        tie: Int
    ) {
        var element = grid.cElement
        qat_fake_quantize_mx_f32(
            destination,
            source,
            count,
            blockSize,
            &element,
            Int32(scaleMode),
            Int32(tie)
        )
    }

    /// The specification of ``fakeQuantizeMX(_:_:count:blockSize:grid:scaleMode:tie:)``.
    public static func fakeQuantizeMXReference(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        grid: ElementGrid,
        scaleMode: Int,
        tie: Int
    ) {
        var element = grid.cElement
        qat_fake_quantize_mx_f32_ref(
            destination,
            source,
            count,
            blockSize,
            &element,
            Int32(scaleMode),
            Int32(tie)
        )
    }

    /// The same for NVFP4: E4M3 block scales under one FP32 scale per tensor.
    public static func fakeQuantizeNVFP4(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        globalScale: Float
    ) {
        qat_fake_quantize_nvfp4_f32(destination, source, count, blockSize, globalScale)
    }

    /// Zeroes the gradient of values beyond what their block's scale can hold.
    public static func maskSaturated(
        _ gradient: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        grid: ElementGrid,
        scaleMode: Int
    ) {
        var element = grid.cElement
        qat_mask_saturated_mx_f32(gradient, source, count, blockSize, &element, Int32(scaleMode))
    }

    /// One code byte per element and one E8M0 byte per block.
    public static func quantizeMX(
        codes: UnsafeMutablePointer<UInt8>,
        scales: UnsafeMutablePointer<UInt8>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        grid: ElementGrid,
        scaleMode: Int,
        tie: Int
    ) {
        var element = grid.cElement
        qat_quantize_mx_f32(
            codes,
            scales,
            source,
            count,
            blockSize,
            &element,
            Int32(scaleMode),
            Int32(tie)
        )
    }

    /// One code byte per element and one E4M3 byte per block.
    public static func quantizeNVFP4(
        codes: UnsafeMutablePointer<UInt8>,
        scales: UnsafeMutablePointer<UInt8>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        globalScale: Float
    ) {
        qat_quantize_nvfp4_f32(codes, scales, source, count, blockSize, globalScale)
    }

    /// The real values of codes under E8M0 scales.
    public static func dequantizeMX(
        _ destination: UnsafeMutablePointer<Float>,
        codes: UnsafePointer<UInt8>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        blockSize: Int,
        grid: ElementGrid
    ) {
        var element = grid.cElement
        qat_dequantize_mx_f32(destination, codes, scales, count, blockSize, &element)
    }

    /// The real values of codes under E4M3 scales and a tensor scale.
    public static func dequantizeNVFP4(
        _ destination: UnsafeMutablePointer<Float>,
        codes: UnsafePointer<UInt8>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        blockSize: Int,
        globalScale: Float
    ) {
        qat_dequantize_nvfp4_f32(destination, codes, scales, count, blockSize, globalScale)
    }

    /// Packs one-byte codes to `codeBits` (4: low nibble first; 6: little-endian; 8: as they are).
    public static func pack(
        _ packed: UnsafeMutablePointer<UInt8>,
        codes: UnsafePointer<UInt8>,
        count: Int,
        codeBits: Int
    ) {
        switch codeBits {
        case 4: qat_pack_nibbles(packed, codes, count)
        case 6: qat_pack_sextets(packed, codes, count)
        default: packed.update(from: codes, count: count)
        }
    }

    /// The inverse of ``pack(_:codes:count:codeBits:)``.
    public static func unpack(
        _ codes: UnsafeMutablePointer<UInt8>,
        packed: UnsafePointer<UInt8>,
        count: Int,
        codeBits: Int
    ) {
        switch codeBits {
        case 4: qat_unpack_nibbles(codes, packed, count)
        case 6: qat_unpack_sextets(codes, packed, count)
        default: codes.update(from: packed, count: count)
        }
    }
}
