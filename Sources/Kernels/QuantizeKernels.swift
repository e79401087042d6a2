internal import CKernels
public import Formats

extension ElementGrid {
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

// Named one by one: the compiler ties every case to its constant in qat_quantize.h.
extension ScaleMode {
    var cMode: Int32 {
        switch self {
        case .floor: Int32(QAT_SCALE_FLOOR)
        case .even: Int32(QAT_SCALE_EVEN)
        case .evenCT: Int32(QAT_SCALE_EVEN_CT)
        case .ceil: Int32(QAT_SCALE_CEIL)
        case .rceil: Int32(QAT_SCALE_RCEIL)
        case .fourOverSix: Int32(QAT_SCALE_FOUR_OVER_SIX)
        }
    }
}

extension TieRule {
    var cRule: Int32 {
        switch self {
        case .even: Int32(QAT_TIE_EVEN)
        case .away: Int32(QAT_TIE_AWAY)
        case .zero: Int32(QAT_TIE_ZERO)
        }
    }
}

extension ScaleKind {
    var cScales: Int32 {
        switch self {
        case .e8m0: Int32(QAT_SCALES_E8M0)
        case .e4m3TwoLevel: Int32(QAT_SCALES_E4M3)
        case .perTensor, .perChannel: Int32(QAT_SCALES_F32)
        }
    }
}

/// A format under an FP32 scale, as the kernels take it; see `qat_quantize.h`.
public struct BlockStorage: Sendable, Hashable {
    /// Elements, scales and rounding rules; how many elements share a scale, kernels are told apart
    /// from it, since a row or a tensor may.
    public var format: QuantizationFormat
    /// The FP32 scale; not used with power-of-two scales.
    public var globalScale: Float

    /// A storage.
    public init(format: QuantizationFormat, globalScale: Float = 1) {
        self.format = format
        self.globalScale = globalScale
    }

    var cFormat: qat_block_format {
        qat_block_format(
            element: format.element.grid.cElement,
            scales: format.scaleKind.cScales,
            // A mode that is not the format's would be taken for another of its kind of scales.
            scale_mode: (format.scaleMode == .fourOverSix && !format.picksFourOrSix
                ? ScaleMode.floor : format.scaleMode).cMode,
            tie: format.tieRule.cRule,
            global_scale: globalScale
        )
    }
}

/// The kernels of low-precision formats.
///
/// Counts are multiples of the block size. The plain functions pick the fastest twin at run time,
/// those ending in `Reference` are the specification.
public enum QuantizeKernels {
    /// Largest magnitude; NaN or infinity if any element is.
    public static func amax(_ values: UnsafePointer<Float>, count: Int) -> Float {
        qat_amax_f32(values, count)
    }

    /// The real value of one code step under a scale byte.
    public static func step(ofScale scale: UInt8, storage: BlockStorage) -> Float {
        var format = storage.cFormat
        return qat_step_of_scale(scale, &format)
    }

    /// Rounds each block to the grid under its own scale and back.
    public static func fakeQuantize(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_fake_quantize_f32(destination, source, count, blockSize, &format)
    }

    /// The specification of ``fakeQuantize(_:_:count:blockSize:storage:)``.
    public static func fakeQuantizeReference(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_fake_quantize_f32_ref(destination, source, count, blockSize, &format)
    }

    /// Rounds each block to the grid under a scale that was found beforehand.
    public static func fakeQuantize(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_fake_quantize_scaled_f32(destination, source, scales, count, blockSize, &format)
    }

    /// Zeroes the gradient of values beyond what their block's scale, found beforehand, can hold.
    public static func maskSaturated(
        _ gradient: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_mask_saturated_scaled_f32(gradient, source, scales, count, blockSize, &format)
    }

    /// Zeroes the gradient of values beyond what their block's power-of-two scale can hold.
    public static func maskSaturated(
        _ gradient: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_mask_saturated_f32(gradient, source, count, blockSize, &format)
    }

    /// One code byte per element and, unless scales are FP32, one scale byte per block.
    public static func quantize(
        codes: UnsafeMutablePointer<UInt8>,
        scales: UnsafeMutablePointer<UInt8>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_quantize_f32(codes, scales, source, count, blockSize, &format)
    }

    /// The specification of ``quantize(codes:scales:_:count:blockSize:storage:)``.
    public static func quantizeReference(
        codes: UnsafeMutablePointer<UInt8>,
        scales: UnsafeMutablePointer<UInt8>,
        _ source: UnsafePointer<Float>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_quantize_f32_ref(codes, scales, source, count, blockSize, &format)
    }

    /// The real values of codes.
    public static func dequantize(
        _ destination: UnsafeMutablePointer<Float>,
        codes: UnsafePointer<UInt8>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_dequantize_f32(destination, codes, scales, count, blockSize, &format)
    }

    /// The specification of ``dequantize(_:codes:scales:count:blockSize:storage:)``.
    public static func dequantizeReference(
        _ destination: UnsafeMutablePointer<Float>,
        codes: UnsafePointer<UInt8>,
        scales: UnsafePointer<UInt8>,
        count: Int,
        blockSize: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_dequantize_f32_ref(destination, codes, scales, count, blockSize, &format)
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

    /// The specification of ``pack(_:codes:count:codeBits:)``.
    public static func packReference(
        _ packed: UnsafeMutablePointer<UInt8>,
        codes: UnsafePointer<UInt8>,
        count: Int,
        codeBits: Int
    ) {
        switch codeBits {
        case 4: qat_pack_nibbles_ref(packed, codes, count)
        case 6: qat_pack_sextets_ref(packed, codes, count)
        default: packed.update(from: codes, count: count)
        }
    }

    /// The specification of ``unpack(_:packed:count:codeBits:)``.
    public static func unpackReference(
        _ codes: UnsafeMutablePointer<UInt8>,
        packed: UnsafePointer<UInt8>,
        count: Int,
        codeBits: Int
    ) {
        switch codeBits {
        case 4: qat_unpack_nibbles_ref(codes, packed, count)
        case 6: qat_unpack_sextets_ref(codes, packed, count)
        default: codes.update(from: packed, count: count)
        }
    }
}
