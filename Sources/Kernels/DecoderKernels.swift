internal import CKernels

/// The kernels of a decoder's layers other than matrix products; see `qat_transformer.h`.
///
/// Each runs on the calling thread over the rows it is given.
public enum DecoderKernels {
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
        shape: (rows: Int, width: Int)
    ) {
        qat_rmsnorm_backward_f32(
            inputGradient,
            weightGradient,
            outputGradient,
            input,
            weight,
            inverseRMS,
            shape.rows,
            shape.width
        )
    }

    /// `output = (input - mean) · inverse deviation · weight + bias` for each of `rows` rows.
    ///
    /// `statistics` receives each row's mean and inverse deviation; `parameters`: weight and bias.
    public static func layerNorm(
        output: UnsafeMutablePointer<Float>,
        statistics: UnsafeMutablePointer<Float>,
        input: UnsafePointer<Float>,
        parameters: (UnsafePointer<Float>, UnsafePointer<Float>),
        rows: Int,
        width: Int,
        epsilon: Float
    ) {
        qat_layernorm_forward_f32(
            output,
            statistics,
            input,
            parameters.0,
            parameters.1,
            rows,
            width,
            epsilon
        )
    }

    /// Adds to `inputGradient` and, unless nil, to the gradients of weight and bias.
    ///
    /// `shape`: Rows and width.
    public static func layerNormGradient(
        inputGradient: UnsafeMutablePointer<Float>,
        parameterGradients: (UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?),
        outputGradient: UnsafePointer<Float>,
        input: UnsafePointer<Float>,
        weight: UnsafePointer<Float>,
        statistics: UnsafePointer<Float>,
        shape: (Int, Int)
    ) {
        qat_layernorm_backward_f32(
            inputGradient,
            parameterGradients.0,
            parameterGradients.1,
            outputGradient,
            input,
            weight,
            statistics,
            shape.0,
            shape.1
        )
    }

    /// Which rows are rotated, and by what.
    public struct Rotation {
        /// `[positions, rotatedDimension / 2]`.
        let cosine: UnsafePointer<Float>
        /// `[positions, rotatedDimension / 2]`.
        let sine: UnsafePointer<Float>
        /// Rows; row `r` is position `firstPosition + r % sequenceLength`, or what `positions` says.
        let rows: Int
        let sequenceLength: Int
        let firstPosition: Int
        /// Heads of a row.
        let heads: Int
        let headDimension: Int
        /// The first dimensions of a head that turn; the rest are left alone.
        let rotatedDimension: Int
        let positions: UnsafePointer<Int32>?

        /// A rotation.
        public init(
            cosine: UnsafePointer<Float>,
            sine: UnsafePointer<Float>,
            rows: Int,
            sequenceLength: Int,
            firstPosition: Int,
            heads: Int,
            headDimension: Int,
            rotatedDimension: Int,
            positions: UnsafePointer<Int32>? = nil
        ) {
            self.cosine = cosine
            self.sine = sine
            self.rows = rows
            self.sequenceLength = sequenceLength
            self.firstPosition = firstPosition
            self.heads = heads
            self.headDimension = headDimension
            self.rotatedDimension = rotatedDimension
            self.positions = positions
        }

        fileprivate var shape: qat_rotation {
            qat_rotation(
                R: rows,
                T: sequenceLength,
                heads: heads,
                head_dim: headDimension,
                rotated: rotatedDimension,
                first_position: firstPosition,
                positions: positions
            )
        }
    }

    /// Rotates each head of the rows in place.
    public static func rotate(_ values: UnsafeMutablePointer<Float>, _ rotation: Rotation) {
        var shape = rotation.shape
        qat_rope_rotate_f32(values, rotation.cosine, rotation.sine, &shape)
    }

    /// The transposed rotation: its gradient.
    public static func unrotate(_ values: UnsafeMutablePointer<Float>, _ rotation: Rotation) {
        var shape = rotation.shape
        qat_rope_unrotate_f32(values, rotation.cosine, rotation.sine, &shape)
    }

    /// Softmax in place on one row.
    public static func softmax(_ scores: UnsafeMutablePointer<Float>, count: Int, scale: Float) {
        qat_softmax_row_f32(scores, count, scale)
    }

    /// Turns the gradient of one row's probabilities into that of its unscaled scores, in place.
    public static func softmaxGradient(
        _ gradient: UnsafeMutablePointer<Float>,
        probabilities: UnsafePointer<Float>,
        count: Int,
        scale: Float
    ) {
        qat_softmax_row_gradient_f32(gradient, probabilities, count, scale)
    }

    /// An MLP's nonlinearity.
    public enum Activation: Sendable {
        /// `x · sigmoid(x)`.
        case silu
        /// `x · Φ(x)`.
        case gelu
        /// GELU's approximation by the hyperbolic tangent.
        case geluTanh
        /// `max(x, 0)`.
        case relu
        /// `max(x, 0)²`.
        case reluSquared

        fileprivate var code: qat_activation {
            switch self {
            case .silu: QAT_SILU
            case .gelu: QAT_GELU
            case .geluTanh: QAT_GELU_TANH
            case .relu: QAT_RELU
            case .reluSquared: QAT_RELU_SQUARED
            }
        }
    }

    /// `output = f(gate) · up`, or `f(up)` without a gate; `output` may be `gate` or `up`.
    public static func activate(
        _ activation: Activation,
        output: UnsafeMutablePointer<Float>,
        gate: UnsafePointer<Float>?,
        up: UnsafePointer<Float>,
        count: Int
    ) {
        qat_activation_forward_f32(activation.code, output, gate, up, count)
    }

    /// Overwrites the gradients of gate (if there is one) and up.
    public static func activateGradient(
        _ activation: Activation,
        gateGradient: UnsafeMutablePointer<Float>?,
        upGradient: UnsafeMutablePointer<Float>,
        outputGradient: UnsafePointer<Float>,
        gate: UnsafePointer<Float>?,
        up: UnsafePointer<Float>,
        count: Int
    ) {
        qat_activation_backward_f32(
            activation.code,
            gateGradient,
            upGradient,
            outputGradient,
            gate,
            up,
            count
        )
    }

    /// `x = cap · tanh(scale · x / cap)` in place.
    public static func softCap(
        _ values: UnsafeMutablePointer<Float>,
        count: Int,
        scale: Float,
        cap: Float
    ) {
        qat_softcap_f32(values, count, scale, cap)
    }

    /// Turns the gradient of capped values into that of the uncapped, in place.
    public static func softCapGradient(
        _ gradient: UnsafeMutablePointer<Float>,
        capped: UnsafePointer<Float>,
        count: Int,
        scale: Float,
        cap: Float
    ) {
        qat_softcap_gradient_f32(gradient, capped, count, scale, cap)
    }

    /// Multiplies in place.
    public static func scale(_ values: UnsafeMutablePointer<Float>, by factor: Float, count: Int) {
        qat_scale_f32(values, count, factor)
    }

    /// `destination += source`.
    public static func add(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        count: Int
    ) {
        qat_add_f32(destination, source, count)
    }

    /// Zeroes the gradient of values that are clipped to ± `limit`.
    ///
    /// - Returns: The limit's: the sum of `gradient · sign(x)` over these.
    public static func clipGradient(
        _ gradient: UnsafeMutablePointer<Float>,
        _ values: UnsafePointer<Float>,
        count: Int,
        limit: Float
    ) -> Double {
        qat_clip_gradient_f32(gradient, values, count, limit)
    }

    /// `output = base + scale · b · a`.
    ///
    /// `b` is `[rows, rank]` and `a` `[rank, columns]`; where the product is zero, `base` stays as it is.
    /// `output` may be `base`.
    public static func addLowRank(
        _ output: UnsafeMutablePointer<Float>,
        base: UnsafePointer<Float>,
        b: UnsafePointer<Float>,
        a: UnsafePointer<Float>,
        shape: (rows: Int, rank: Int, columns: Int),
        scale: Float
    ) {
        qat_add_low_rank_f32(output, base, b, a, shape.rows, shape.rank, shape.columns, scale)
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
