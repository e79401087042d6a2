internal import CKernels

/// Between FP32 and BF16, the upper half of its bits.
public enum HalfConversion {
    /// Rounds `count` values to nearest, ties to even; NaN stays NaN.
    public static func narrow(
        _ values: UnsafePointer<Float>,
        into halves: UnsafeMutablePointer<UInt16>,
        count: Int
    ) {
        qat_narrow_bf16(halves, values, count)
    }

    /// `count` values, exactly.
    public static func widen(
        _ halves: UnsafePointer<UInt16>,
        into values: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        qat_widen_bf16(values, halves, count)
    }
}
