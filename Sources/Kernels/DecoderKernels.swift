internal import CKernels

/// The kernels of a decoder's layers other than matrix products; see `qat_transformer.h`.
///
/// Each runs on the calling thread over the rows it is given.
public enum DecoderKernels {
    /// Whether the AVX2 twins are in use, rather than the reference kernels.
    public static var usesAVX2: Bool { qat_uses_avx2() != 0 }

    /// `output = input · inverseRMS · weight` for each of `rows` rows.
    public static func rmsNorm(
        output: UnsafeMutablePointer<Float>,
        inverseRMS: UnsafeMutablePointer<Float>,
        input: UnsafePointer<Float>,
        weight: UnsafePointer<Float>,
        rows: Int,
        width: Int,
        epsilon: Float
    ) {
        qat_rmsnorm_forward_f32(output, inverseRMS, input, weight, rows, width, epsilon)
    }

    /// Adds to `inputGradient` and, unless nil, to `weightGradient`.
    public static func rmsNormGradient(
        inputGradient: UnsafeMutablePointer<Float>,
        weightGradient: UnsafeMutablePointer<Float>?,
        outputGradient: UnsafePointer<Float>,
        input: UnsafePointer<Float>,
        weight: UnsafePointer<Float>,
        inverseRMS: UnsafePointer<Float>,
        rows: Int,
        width: Int
    ) {
        qat_rmsnorm_backward_f32(
            inputGradient,
            weightGradient,
            outputGradient,
            input,
            weight,
            inverseRMS,
            rows,
            width
        )
    }

    /// Rotates each head of `rows` rows in place; row `r` is position `firstPosition + r % T`.
    public static func rotate(
        _ values: UnsafeMutablePointer<Float>,
        cosine: UnsafePointer<Float>,
        sine: UnsafePointer<Float>,
        rows: Int,
        sequenceLength: Int,
        heads: Int,
        headDimension: Int,
        firstPosition: Int
    ) {
        qat_rope_rotate_f32(
            values,
            cosine,
            sine,
            rows,
            sequenceLength,
            heads,
            headDimension,
            firstPosition
        )
    }

    /// The inverse of ``rotate(_:cosine:sine:rows:sequenceLength:heads:headDimension:firstPosition:)``,
    /// which is its gradient.
    public static func unrotate(
        _ values: UnsafeMutablePointer<Float>,
        cosine: UnsafePointer<Float>,
        sine: UnsafePointer<Float>,
        rows: Int,
        sequenceLength: Int,
        heads: Int,
        headDimension: Int,
        firstPosition: Int
    ) {
        qat_rope_unrotate_f32(
            values,
            cosine,
            sine,
            rows,
            sequenceLength,
            heads,
            headDimension,
            firstPosition
        )
    }

    /// Causal softmax in place on scores `[length, length]`.
    public static func causalSoftmax(
        _ scores: UnsafeMutablePointer<Float>,
        length: Int,
        scale: Float
    ) {
        qat_softmax_causal_forward_f32(scores, length, scale)
    }

    /// Turns the gradient of probabilities into that of unscaled scores, in place.
    public static func causalSoftmaxGradient(
        _ gradient: UnsafeMutablePointer<Float>,
        probabilities: UnsafePointer<Float>,
        length: Int,
        scale: Float
    ) {
        qat_softmax_causal_backward_f32(gradient, probabilities, length, scale)
    }

    /// Softmax in place on one row.
    public static func softmax(_ scores: UnsafeMutablePointer<Float>, count: Int, scale: Float) {
        qat_softmax_row_f32(scores, count, scale)
    }

    /// `output = silu(gate) · up`; `output` may be `gate` or `up`.
    public static func swiGLU(
        output: UnsafeMutablePointer<Float>,
        gate: UnsafePointer<Float>,
        up: UnsafePointer<Float>,
        count: Int
    ) {
        qat_swiglu_forward_f32(output, gate, up, count)
    }

    /// Overwrites both gradients.
    public static func swiGLUGradient(
        gateGradient: UnsafeMutablePointer<Float>,
        upGradient: UnsafeMutablePointer<Float>,
        outputGradient: UnsafePointer<Float>,
        gate: UnsafePointer<Float>,
        up: UnsafePointer<Float>,
        count: Int
    ) {
        qat_swiglu_backward_f32(gateGradient, upGradient, outputGradient, gate, up, count)
    }

    /// `destination += source`.
    public static func add(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int
    ) {
        qat_add_f32(destination, source, count)
    }

    /// Copies `table`'s rows for `tokens`, which must be in range.
    public static func embed(
        output: UnsafeMutablePointer<Float>,
        table: UnsafePointer<Float>,
        tokens: UnsafePointer<Int32>,
        rows: Int,
        width: Int
    ) {
        qat_embedding_forward_f32(output, table, tokens, rows, width)
    }

    /// Adds each row's gradient to its token's row of `tableGradient`.
    public static func embedGradient(
        tableGradient: UnsafeMutablePointer<Float>,
        outputGradient: UnsafePointer<Float>,
        tokens: UnsafePointer<Int32>,
        rows: Int,
        width: Int
    ) {
        qat_embedding_backward_f32(tableGradient, outputGradient, tokens, rows, width)
    }
}
