internal import CKernels

/// Products of one query head with the keys and values that it sees, row by row.
///
/// All twins give the same bits, and so does any cut of the rows into calls; see
/// `qat_cached_attention.h` for the order of sums.
public enum CachedAttentionKernels {
    /// The products of a query `[dimension]` with `count` keys, each `dimension` elements behind the
    /// one before.
    public static func scores(
        _ scores: UnsafeMutablePointer<Float>,
        query: UnsafePointer<Float>,
        keys: UnsafePointer<Float>,
        count: Int,
        dimension: Int
    ) {
        qat_dot_rows_f32(scores, query, keys, count, dimension, dimension)
    }

    /// The specification of ``scores(_:query:keys:count:dimension:)``.
    public static func scoresReference(
        _ scores: UnsafeMutablePointer<Float>,
        query: UnsafePointer<Float>,
        keys: UnsafePointer<Float>,
        count: Int,
        dimension: Int
    ) {
        qat_dot_rows_f32_ref(scores, query, keys, count, dimension, dimension)
    }

    /// Adds `count` values `[dimension]`, each by its weight, to `output`.
    public static func mix(
        into output: UnsafeMutablePointer<Float>,
        weights: UnsafePointer<Float>,
        values: UnsafePointer<Float>,
        count: Int,
        dimension: Int
    ) {
        qat_mix_rows_f32(output, weights, values, count, dimension, dimension)
    }

    /// The specification of ``mix(into:weights:values:count:dimension:)``.
    public static func mixReference(
        into output: UnsafeMutablePointer<Float>,
        weights: UnsafePointer<Float>,
        values: UnsafePointer<Float>,
        count: Int,
        dimension: Int
    ) {
        qat_mix_rows_f32_ref(output, weights, values, count, dimension, dimension)
    }
}
