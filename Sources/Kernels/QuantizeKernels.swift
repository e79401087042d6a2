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

/// How values of a format are stored and rounded, as the kernels see it; see `qat_quantize.h`.
public struct BlockStorage: Sendable, Hashable {
    /// How scales are stored.
    public enum Scales: Int32, Sendable {
        /// A power of two per block, a byte.
        case e8m0
        /// An E4M3 byte per block under the FP32 scale.
        case e4m3
        /// The FP32 scale alone.
        case f32
    }

    /// The element type's constants.
    public var grid: ElementGrid
    /// How scales are stored.
    public var scales: Scales
    /// The FP32 scale; not used with ``Scales/e8m0``.
    public var globalScale: Float
    /// 0 floor, 1 even, 2 even_ct, 3 ceil, 4 rceil.
    public var scaleMode: Int
    /// 0 even, 1 away, 2 zero.
    public var tie: Int

    /// A storage.
    public init(
        grid: ElementGrid,
        scales: Scales,
        globalScale: Float = 1,
        scaleMode: Int = 0,
        tie: Int = 0
    ) {
        self.grid = grid
        self.scales = scales
        self.globalScale = globalScale
        self.scaleMode = scaleMode
        self.tie = tie
    }

    var cFormat: qat_block_format {
        qat_block_format(
            element: grid.cElement,
            scales: scales.rawValue,
            scale_mode: Int32(scaleMode),
            tie: Int32(tie),
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
